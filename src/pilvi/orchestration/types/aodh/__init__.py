"""Resource types of the alarming service."""
_HERE = "pilvi.orchestration.types.aodh.alarm"
AODH = {
    "OS::Aodh::CompositeAlarm": f"{_HERE}:CompositeAlarm",
    "OS::Aodh::EventAlarm": f"{_HERE}:EventAlarm",
    "OS::Aodh::GnocchiAggregationByMetricsAlarm": f"{_HERE}:GnocchiAggregationByMetricsAlarm",
    "OS::Aodh::GnocchiAggregationByResourcesAlarm": f"{_HERE}:GnocchiAggregationByResourcesAlarm",
    "OS::Aodh::GnocchiResourcesAlarm": f"{_HERE}:GnocchiResourcesAlarm",
}
