"""What the claims about `cadre http` share: a server, raw connections, and the certainty that
nothing of it is left behind."""

import os
import re
import signal
import socket
import subprocess
import tempfile
import threading
import time

BIN = os.path.join(os.environ["CADRE_BIN_DIR"], "cadre")
WEB = os.path.join(os.environ["CADRE_SERVICE_DIR"], "web.so")
# Far longer than anything takes, also on a busy machine under a sanitizer.
GENEROUS = 60


def wait_for(condition, what, seconds=GENEROUS):
    until = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > until:
            raise AssertionError("waited in vain: " + what)
        time.sleep(0.01)


def children_of(pid):
    try:
        with open(f"/proc/{pid}/task/{pid}/children") as file:
            return [int(child) for child in file.read().split()]
    except FileNotFoundError:
        return []


def family_of(pid):
    family = [pid]
    for child in children_of(pid):
        family += family_of(child)
    return family


def descriptors_of(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def peak_kib(pid):
    with open(f"/proc/{pid}/status") as file:
        return int(re.search(r"VmHWM:\s+(\d+) kB", file.read()).group(1))


class Server:
    """`cadre http` with these arguments, on a port that the kernel chooses."""

    def __init__(self, *arguments, service=WEB, listen=("--listen", "127.0.0.1:0"), **popen):
        command = [BIN, "http", *listen, *arguments]
        self.name = None
        if service and "--pool" not in arguments:
            self.name = f"http-test-{os.getpid()}-{id(self) & 0xffffff:x}"
            command += ["--service", service, "--name", self.name]
        self.lines = []
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True,
                                        errors="replace", **popen)
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()
        self.port = None
        self.path = None
        self.find_port()
        if self.name:
            wait_for(lambda: self.said("is ready") or self.process.poll() is not None,
                     "the pool is ready")

    def read(self):
        for line in self.process.stderr:
            self.lines.append(line)

    def said(self, text):
        return next((line for line in list(self.lines) if text in line), None)

    def find_port(self):
        wait_for(lambda: self.said("listening on") or self.process.poll() is not None,
                 "the server listens")
        line = self.said("listening on") or ""
        found = re.search(r"http://[^/]*:(\d+)/", line)
        if found:
            self.port = int(found.group(1))
        found = re.search(r"unix:([^,]*)", line)
        if found:
            self.path = found.group(1)

    # Its first children are the front and the supervisor, in any order: the supervisor has
    # children of its own.
    def front(self):
        return wait_for(lambda: next((pid for pid in children_of(self.process.pid)
                                      if not children_of(pid)), None), "there is a front")

    def supervisor(self):
        return next((pid for pid in children_of(self.process.pid) if children_of(pid)), None)

    def workers(self):
        return children_of(self.supervisor())

    def connect(self):
        if self.path:
            connection = socket.socket(socket.AF_UNIX)
            connection.settimeout(GENEROUS)
            connection.connect(self.path)
            return connection
        return socket.create_connection(("127.0.0.1", self.port), timeout=GENEROUS)

    def ask(self, request, **options):
        with Client(self) as client:
            return client.ask(request, **options)

    def get(self, target):
        return self.ask(f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")

    def signal(self, number):
        self.process.send_signal(number)

    def stop(self):
        """Ends it in order and returns its exit status; nothing may be left."""
        family = family_of(self.process.pid)
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(GENEROUS)
        except subprocess.TimeoutExpired:
            for pid in family:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            raise AssertionError("the server did not end:\n" + "".join(self.lines)) from None
        self.reader.join(GENEROUS)
        self.process.stderr.close()
        wait_for(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in family),
                 "all of its processes are gone")
        if self.name:
            left = [name for name in os.listdir("/dev/shm") if self.name in name]
            assert not left, f"left behind: {left}"
        return status


class Response:
    def __init__(self, status, reason, fields, body, whole):
        self.status = status
        self.reason = reason
        self.fields = fields
        self.body = body
        self.whole = whole

    def field(self, name):
        return self.fields.get(name.lower())


class Client:
    """A connection on which bytes are sent as they are, and responses are read strictly."""

    def __init__(self, server):
        self.socket = server.connect()
        self.input = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data.encode("latin-1") if isinstance(data, str) else data)

    def send_some(self, data):
        """As much as the server wants to have."""
        try:
            self.send(data)
        except (BrokenPipeError, ConnectionResetError):
            pass

    def more(self):
        try:
            data = self.socket.recv(65536)
        except ConnectionResetError:
            data = b""
        self.input += data
        return len(data) > 0

    def line(self):
        while b"\r\n" not in self.input:
            if not self.more():
                raise EOFError("closed in a line")
        line, self.input = self.input.split(b"\r\n", 1)
        return line.decode("latin-1")

    def exactly(self, length):
        while len(self.input) < length:
            if not self.more():
                raise EOFError("closed in a body")
        data, self.input = self.input[:length], self.input[length:]
        return data

    def is_closed(self):
        """True when the server closes without saying more."""
        return not self.input and not self.more()

    def chunks(self):
        """Each as it comes, so that those before an early end are known."""
        while True:
            size = int(self.line(), 16)
            data = self.exactly(size)
            assert self.line() == "", "a chunk ends with its line"
            if size == 0:
                return
            yield data

    def response(self, head=False):
        version, status, reason = (self.line().split(" ", 2) + [""])[:3]
        assert version == "HTTP/1.1", version
        fields = {}
        while True:
            line = self.line()
            if not line:
                break
            name, value = line.split(":", 1)
            assert name.lower() not in fields, f"{name} twice"
            fields[name.lower()] = value.strip()
        assert not ("content-length" in fields and "transfer-encoding" in fields)
        body, whole = b"", True
        status = int(status)
        try:
            if head or status in (204, 304) or status < 200:
                pass
            elif fields.get("transfer-encoding") == "chunked":
                for chunk in self.chunks():
                    body += chunk
            elif "content-length" in fields:
                body = self.exactly(int(fields["content-length"]))
            else:
                while self.more():
                    pass
                body, self.input = self.input, b""
        except EOFError:
            whole = False
        return Response(status, reason, fields, body, whole)

    def ask(self, request, head=False):
        self.send(request)
        return self.response(head)

    def get(self, target):
        return self.ask(f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n")
