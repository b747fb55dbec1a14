"""Work that is done one piece after another, side by side on this machine's cores, or on a cluster's machines."""
