"""The phases as steps over a home folder: what the command line calls, in order, and nothing more."""
