"""Asks containerd, as Kubernetes would, for one thing, and prints the answer as JSON.

usage: cri.py METHOD REQUEST, in a directory with what protoc made of cri.proto
"""

import os
import sys

sys.path.insert(0, os.getcwd())

import cri_pb2
import grpc
from google.protobuf import json_format

method, request = sys.argv[1:]
asked, answered = (getattr(cri_pb2, method + kind) for kind in ("Request", "Response"))
with grpc.insecure_channel("unix:///run/containerd/containerd.sock") as channel:
    call = channel.unary_unary(
        "/runtime.v1.RuntimeService/" + method, request_serializer=asked.SerializeToString, response_deserializer=answered.FromString
    )
    try:
        answer = call(json_format.Parse(request, asked()), timeout=60)
    except grpc.RpcError as error:
        sys.exit(f"{error.code().name}: {error.details()}")
print(json_format.MessageToJson(answer, preserving_proto_field_name=True, including_default_value_fields=True))
