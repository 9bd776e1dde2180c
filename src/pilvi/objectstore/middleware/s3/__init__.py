"""The S3 API over the same accounts: a bucket is a container of the project whose EC2 credentials signed the request.

Every S3 request becomes requests of the Swift API below this link, so whatever is written by one is read by the other.
"""
