"""The runs of this machine beside each other: what there is, two of them compared, the page of all, what can go."""
