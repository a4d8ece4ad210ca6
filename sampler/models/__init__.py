"""Model callbacks that come with the library."""
