"""Films of robots that adapt."""
