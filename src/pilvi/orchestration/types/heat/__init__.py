"""Heat's own resource types."""
HEAT = {
    "OS::Heat::RandomString": "pilvi.orchestration.types.heat.random_string:RandomString",
}
