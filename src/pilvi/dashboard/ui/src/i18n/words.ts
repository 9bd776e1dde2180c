// Nouns, attributes and verbs.
export const WORDS = {
  // things
  servers: ["Instances", "实例"], server: ["Instance", "实例"], all_servers: ["All instances", "所有实例"], images: ["Images", "镜像"], image: ["Image", "镜像"], keypairs: ["Key pairs", "密钥对"], keypair: ["Key pair", "密钥对"],
  server_groups: ["Server groups", "服务器组"], server_group: ["Server group", "服务器组"], volumes: ["Volumes", "卷"], volume: ["Volume", "卷"], all_volumes: ["All volumes", "所有卷"], snapshots: ["Snapshots", "快照"], snapshot: ["Snapshot", "快照"],
  volume_types: ["Volume types", "卷类型"], volume_type: ["Volume type", "卷类型"], networks: ["Networks", "网络"], network: ["Network", "网络"], subnets: ["Subnets", "子网"], subnet: ["Subnet", "子网"], ports: ["Ports", "端口"], port: ["Port", "端口"],
  routers: ["Routers", "路由器"], router: ["Router", "路由器"], interfaces: ["Interfaces", "接口"], interface: ["Interface", "接口"], security_groups: ["Security groups", "安全组"], security_group: ["Security group", "安全组"], rules: ["Rules", "规则"], rule: ["Rule", "规则"],
  floating_ips: ["Floating IPs", "浮动 IP"], floating_ip: ["Floating IP", "浮动 IP"], topology: ["Network topology", "网络拓扑"], flavors: ["Flavors", "规格"], flavor: ["Flavor", "规格"], hosts: ["Hosts", "主机"], host: ["Host", "主机"],
  aggregates: ["Host aggregates", "主机聚合"], aggregate: ["Host aggregate", "主机聚合"], projects: ["Projects", "项目"], project: ["Project", "项目"], users: ["Users", "用户"], user: ["User", "用户"], roles: ["Roles", "角色"], role: ["Role", "角色"],
  groups: ["Groups", "用户组"], group: ["Group", "用户组"], domains: ["Domains", "域"], domain: ["Domain", "域"], members: ["Members", "成员"], member: ["Member", "成员"], action_log: ["Action log", "操作日志"], action: ["Action", "操作"], quotas: ["Quotas", "配额"],
  service: ["Service", "服务"], endpoints: ["Endpoints", "端点"], zone: ["Availability zone", "可用域"],
  // attributes
  name: ["Name", "名称"], id: ["ID", "ID"], status: ["Status", "状态"], type: ["Type", "类型"], size: ["Size", "大小"], created: ["Created", "创建时间"], launched: ["Launched", "启动时间"], started: ["Started", "开始"], finished: ["Finished", "结束"], result: ["Result", "结果"],
  request: ["Request", "请求"], description: ["Description", "描述"], address: ["Address", "地址"], addresses: ["Addresses", "地址"], fixed_address: ["Fixed address", "固定地址"], external_address: ["External address", "外部地址"], mac: ["MAC", "MAC"], cidr: ["CIDR", "CIDR"],
  gateway: ["Gateway", "网关"], dhcp: ["DHCP", "DHCP"], dns_servers: ["DNS servers", "DNS 服务器"], pools: ["Allocation pools", "地址池"], mtu: ["MTU", "MTU"], shared: ["Shared", "共享"], external: ["External", "外部"], external_network: ["External network", "外部网络"],
  admin_state: ["Switched on", "管理状态"], network_type: ["Network type", "网络类型"], snat: ["SNAT", "SNAT"], routes: ["Routes", "静态路由"], direction: ["Direction", "方向"], ether_type: ["IP version", "IP 版本"], protocol: ["Protocol", "协议"], port_range: ["Ports", "端口范围"],
  port_from: ["From port", "起始端口"], port_to: ["To port", "结束端口"], remote: ["Remote", "远端"], remote_prefix: ["Remote addresses (CIDR)", "远端地址（CIDR）"], remote_group: ["Remote security group", "远端安全组"], attached_to: ["Attached to", "连接到"],
  bootable: ["Bootable", "可启动"], device: ["Device", "设备"], deleted_with_server: ["Deleted with the instance", "随实例删除"], size_gib: ["Size (GiB)", "大小（GiB）"], from_image: ["From image", "来自镜像"], from_snapshot: ["From snapshot", "来自快照"],
  visibility: ["Visibility", "可见性"], format: ["Format", "格式"], container_format: ["Container format", "容器格式"], virtual_size: ["Virtual size", "虚拟大小"], protected: ["Protected", "受保护"], owner: ["Owner", "所有者"], least_disk: ["Least disk", "最小磁盘"],
  least_memory: ["Least memory", "最小内存"], checksum: ["Checksum", "校验和"], properties: ["Properties", "属性"], tags: ["Tags", "标签"], metadata: ["Metadata", "元数据"], locked: ["Locked", "已锁定"], fingerprint: ["Fingerprint", "指纹"], public_key: ["Public key", "公钥"],
  policy: ["Policy", "策略"], vcpus: ["vCPUs", "vCPU"], memory: ["Memory", "内存"], memory_mib: ["Memory (MiB)", "内存（MiB）"], disk: ["Disk", "磁盘"], disk_gib: ["Disk (GiB)", "磁盘（GiB）"], public: ["Public", "公开"], extra_specs: ["Extra specs", "附加规格"],
  vcpus_used: ["vCPUs used", "已用 vCPU"], memory_used: ["Memory used", "已用内存"], disk_used: ["Disk used", "已用磁盘"], reason: ["Reason", "原因"], enabled: ["Enabled", "启用"], email: ["Email", "邮箱"], password: ["Password", "密码"], fault: ["Fault", "故障"],
  subnet_cidr: ["Subnet (CIDR)", "子网（CIDR）"],
  // verbs
  create: ["Create", "创建"], delete: ["Delete", "删除"], save: ["Save", "保存"], cancel: ["Cancel", "取消"], close: ["Close", "关闭"], search: ["Search", "搜索"], again: ["Try again", "重试"], previous: ["Previous", "上一页"], next: ["Next", "下一页"], download: ["Download", "下载"],
  start: ["Start", "启动"], stop: ["Stop", "关机"], reboot: ["Reboot", "重启"], reboot_hard: ["Reboot hard", "强制重启"], pause: ["Pause", "暂停"], unpause: ["Unpause", "恢复"], rename: ["Edit", "编辑"], lock: ["Lock", "锁定"], unlock: ["Unlock", "解锁"], reset_state: ["Reset state", "重置状态"],
  console: ["Console", "控制台"], log: ["Log", "日志"], attach: ["Attach", "连接"], detach: ["Detach", "分离"], attach_volume: ["Attach a volume", "连接卷"], attach_interface: ["Attach to a network", "连接到网络"], attach_to_server: ["Attach to an instance", "连接到实例"],
  associate: ["Associate", "关联"], disassociate: ["Disassociate", "解除关联"], associate_address: ["Associate a floating IP", "关联浮动 IP"], allocate_address: ["Allocate", "分配"], release: ["Release", "释放"], extend: ["Extend", "扩容"], make_snapshot: ["Create a snapshot", "创建快照"],
  make_volume: ["Create a volume", "创建卷"], make_image: ["Save as image", "保存为镜像"], protect: ["Protect", "保护"], unprotect: ["Remove protection", "取消保护"], enable: ["Enable", "启用"], disable: ["Disable", "停用"], add_host: ["Add a host", "添加主机"], remove_host: ["Remove a host", "移除主机"],
  add_rule: ["Add a rule", "添加规则"], add_interface: ["Add an interface", "添加接口"], set_gateway: ["Set the gateway", "设置网关"], clear_gateway: ["Clear the gateway", "清除网关"], add_keypair: ["Add a key pair", "添加密钥对"], launch_server: ["Launch an instance", "启动实例"],
  upload_image: ["Upload an image", "上传镜像"], add_member: ["Add a member", "添加成员"], add_to_project: ["Add to a project", "加入项目"], change_password: ["Change the password", "修改密码"], follow: ["Follow", "跟随"], fit: ["Fit", "适应窗口"],
  facts: ["Details", "详情"], actions: ["Actions", "操作"], all: ["All", "全部"], any: ["Any", "任意"], yes: ["yes", "是"], no: ["no", "否"], optional: ["optional", "可选"], lines: ["Lines", "行数"],
} as const
