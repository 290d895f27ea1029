"""From raters' votes to labels."""
