"""A receiver of traces: takes OTLP over HTTP, decodes it by OpenTelemetry's own definitions, and tells each span in a line.

Prints "listening PORT", then one JSON object a span. Whatever those definitions do not know is refused with 400.
"""

import base64
import json
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

from google.protobuf import json_format
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


def decoded(body):
    """OTLP writes ids in hexadecimal where protobuf's JSON has base64; everything else is protobuf's."""
    said = json.loads(body)
    for resource in said["resourceSpans"]:
        for scope in resource["scopeSpans"]:
            for span in scope["spans"]:
                for key in ("traceId", "spanId", "parentSpanId"):
                    if key in span:
                        span[key] = base64.b64encode(bytes.fromhex(span[key])).decode()
    return json_format.ParseDict(said, ExportTraceServiceRequest())


def values(attributes):
    return {one.key: one.value.string_value for one in attributes}


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        try:
            assert self.path == "/v1/traces", self.path
            assert self.headers["content-type"] == "application/json"
            request = decoded(body)
        except Exception as why:
            print(json.dumps({"refused": str(why)}), flush=True)
            self.send_response(400)
            self.end_headers()
            return
        for resource in request.resource_spans:
            for scope in resource.scope_spans:
                for span in scope.spans:
                    assert len(span.trace_id) == 16 and len(span.span_id) == 8, "ids of 16 and 8 bytes"
                    told = {
                        "trace": span.trace_id.hex(),
                        "id": span.span_id.hex(),
                        "parent": span.parent_span_id.hex(),
                        "name": span.name,
                        "kind": span.kind,
                        "start_ns": span.start_time_unix_nano,
                        "end_ns": span.end_time_unix_nano,
                        "about": values(span.attributes),
                        "of": values(resource.resource.attributes),
                    }
                    print(json.dumps(told), flush=True)
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_):
        pass


server = HTTPServer(("127.0.0.1", 0), Receiver)
print("listening", server.server_port, flush=True)
try:
    server.serve_forever()
except KeyboardInterrupt:
    sys.exit(0)
