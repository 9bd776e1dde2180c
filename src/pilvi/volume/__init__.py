"""Volume: block devices that outlive servers; the counterpart of Cinder (API v3, microversions 3.0 to 3.71).

A volume lies on one host and is made, grown and removed there by the volume agent; the API process decides, writes the state and a
task, and never touches bytes. The hard idea: an attachment is a promise between a volume and a server that each side may have to take back
after a crash, so it is a row of its own, and the volume's status follows from its attachments and from nothing else.
"""
