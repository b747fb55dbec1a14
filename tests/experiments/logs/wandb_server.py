"""A stand-in of W&B's server, on this machine, with one run whose controller can be downloaded."""

import base64
import hashlib
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

ENTITY, PROJECT, RUN = "people", "robots", "abc"
_PROJECT = {"id": "p", "internalId": "1", "name": PROJECT, "entity": {"name": ENTITY}}
_COLLECTION = {"__typename": "ArtifactSequence", "name": f"controller-{RUN}", "project": _PROJECT}
_TIME = "2026-01-01T00:00:00"
_ARTIFACT = {
    "__typename": "Artifact", "id": "QXJ0", "artifactSequence": _COLLECTION, "versionIndex": 0,
    "artifactType": {"name": "model"}, "description": None, "metadata": "{}", "ttlDurationSeconds": -2,
    "ttlIsInherited": True, "tags": [], "historyStep": None, "state": "COMMITTED", "size": 1, "digest": "d",
    "commitHash": "c", "fileCount": 1, "createdAt": _TIME, "updatedAt": None, "aliases": [],
}  # fmt: skip
_LATEST = {"__typename": "ArtifactAlias", "id": "1", "alias": "latest"}


@contextmanager
def wandb_server(files: Mapping[str, bytes]) -> Iterator[str]:
    """Serves the files as the run's newest artifact; yields the server's address."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["content-length"])) or b"{}")
            self._answer(json.dumps({"data": answer(asked, address, files)}).encode())

        def do_GET(self) -> None:
            name = self.path.removeprefix("/files/")
            self._answer(json.dumps(manifest(files)).encode() if name == "manifest" else files[name])

        def log_message(self, format: str, *_: object) -> None:
            """Says nothing."""

        def _answer(self, body: bytes) -> None:
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    address = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield address
    finally:
        server.shutdown()
        server.server_close()


def answer(asked: Mapping[str, Any], address: str, files: Mapping[str, bytes]) -> dict[str, Any]:
    """The data of a query, by the field that it is of; None for a run that there is not."""
    query, variables = asked.get("query", ""), asked.get("variables") or {}
    if "artifactCollectionMembership(" in query:
        known = variables["name"] == f"controller-{RUN}:latest" and variables["entity"] == ENTITY
        return {"project": {"artifactCollectionMembership": membership() if known else None}}
    if "artifactMembership(" in query:
        edges = [
            {"node": {"__typename": "File", "name": name, "directUrl": f"{address}/files/{name}"}} for name in files
        ]
        page = {"__typename": "PageInfo", "endCursor": None, "hasNextPage": False}
        found = {"files": {"pageInfo": page, "edges": edges}}
        return {"project": {"artifactCollection": {"__typename": "ArtifactSequence", "artifactMembership": found}}}
    if "currentManifest" in query:
        return {"artifact": {"currentManifest": {"file": {"directUrl": f"{address}/files/manifest"}}}}
    viewer = {"id": "1", "username": "u", "flags": "{}", "entity": ENTITY, "teams": {"edges": []}}
    return {"viewer": viewer, "serverInfo": {"features": []}}


def membership() -> dict[str, Any]:
    """What is known of the run's newest artifact."""
    own = {"artifactCollection": _COLLECTION, "artifact": _ARTIFACT, "aliases": [_LATEST]}
    return {"__typename": "ArtifactCollectionMembership", "id": "m", "versionIndex": 0, "createdAt": _TIME, **own}


def manifest(files: Mapping[str, bytes]) -> dict[str, Any]:
    """The list of the files, with their checksums."""
    contents = {
        name: {"digest": base64.b64encode(hashlib.md5(content).digest()).decode(), "size": len(content)}
        for name, content in files.items()
    }
    about = {"storagePolicy": "wandb-storage-policy-v1", "storagePolicyConfig": {"storageLayout": "V2"}}
    return {"version": 1, **about, "contents": contents}
