"""What makes the MJCF file of a user a robot that can be trained."""
