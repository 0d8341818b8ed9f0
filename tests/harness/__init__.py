"""What the end-to-end suite starts and talks to: the server under test and its neighbours on loopback."""
