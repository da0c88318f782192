"""What is known of a pixel beyond its window: the season of its series, and the large scale of the whole map."""
