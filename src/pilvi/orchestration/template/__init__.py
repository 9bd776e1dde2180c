"""Templates: parsing, functions, conditions, parameters, environments. Pure: values in, values out."""
