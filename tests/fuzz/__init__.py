"""Random testing for as long as one likes."""
