"""How Django's own pages write times: in the one form that every page of ours has."""
