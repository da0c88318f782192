"""Small faults that tests must find, and a command that puts them in one after the other."""
