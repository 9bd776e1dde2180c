"""Resource types of the object store."""
SWIFT = {
    "OS::Swift::Container": "pilvi.orchestration.types.swift.container:Container",
}
