"""What runs inside a jail. Imports the standard library and itself only, and is sent there as text."""
