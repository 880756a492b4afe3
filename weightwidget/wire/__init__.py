"""What passes between the kernel and the front end."""
