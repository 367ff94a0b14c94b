"""The programs that Beagle is measured against."""
