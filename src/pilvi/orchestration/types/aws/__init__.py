"""Resource types in CloudFormation's words: groups of servers that scale."""
_HERE = "pilvi.orchestration.types.aws"
AWS = {
    "AWS::AutoScaling::AutoScalingGroup": f"{_HERE}.autoscaling:CfnAutoScalingGroup",
    "AWS::AutoScaling::LaunchConfiguration": f"{_HERE}.launch_configuration:LaunchConfiguration",
    "AWS::AutoScaling::ScalingPolicy": f"{_HERE}.autoscaling:CfnScalingPolicy",
    "OS::Heat::InstanceGroup": f"{_HERE}.autoscaling:InstanceGroup",
}
