"""Parts of the picture that stands in for an explorer where no front end runs, drawn with Pillow."""
