"""The gates of a recurrent layer."""
