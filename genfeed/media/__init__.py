"""What the header of a media file says. Pure ground: works on any file object, knows no network and no framework."""
