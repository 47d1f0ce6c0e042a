#!/usr/bin/env python3
"""Claims about `cadre http`, both ways, made with real connections.

Usage: claims.py [CLAIM...]   with CADRE_BIN_DIR and CADRE_SERVICE_DIR set (ctest does it)
"""

import hashlib
import os
import random
import re
import resource
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import zlib

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from server import (BIN, GENEROUS, WEB, Client, Server, children_of, descriptors_of, family_of,
                    peak_kib,
                    wait_for)

HOST = "Host: x\r\n"
resource.setrlimit(resource.RLIMIT_NOFILE, (4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
IS_SANITIZED = b"__asan_init" in open(BIN, "rb").read()


def chunked(data, size=5000):
    body = b""
    for start in range(0, len(data), size):
        piece = data[start:start + size]
        body += b"%x\r\n" % len(piece) + piece + b"\r\n"
    return body + b"0\r\n\r\n"


def png(width, height):
    """A picture with a red left and a blue right half."""
    def part(kind, data):
        return (struct.pack(">I", len(data)) + kind + data +
                struct.pack(">I", zlib.crc32(kind + data)))
    row = b"\0" + b"\xff\0\0" * (width // 2) + b"\0\0\xff" * (width - width // 2)
    return (b"\x89PNG\r\n\x1a\n" +
            part(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)) +
            part(b"IDAT", zlib.compress(row * height)) + part(b"IEND", b""))


def jpeg_size(data):
    """Width and height out of the frame header."""
    at = 2
    while at < len(data):
        marker, length = struct.unpack(">xBH", data[at:at + 4])
        if marker in (0xC0, 0xC2):
            height, width = struct.unpack(">HH", data[at + 5:at + 9])
            return width, height
        at += 2 + length
    return None


class Load(threading.Thread):
    """Asks without pause until told to stop; whatever is no 200 is noted."""

    def __init__(self, server, target="/hello"):
        super().__init__(daemon=True)
        self.server, self.target = server, target
        self.count, self.failures, self.ends = 0, [], False

    def run(self):
        client = None
        while not self.ends:
            try:
                client = client or Client(self.server)
                response = client.get(self.target)
                if response.status != 200 or not response.whole:
                    self.failures.append(f"{response.status} {response.body[:80]}")
                self.count += 1
                if response.field("connection") == "close":
                    client.socket.close()
                    client = None
            except (OSError, EOFError) as error:
                # A kept connection may be closed between two requests, and only there.
                if client and client.input == b"" and self.count and self.may_close:
                    client.socket.close()
                    client = None
                    continue
                self.failures.append(repr(error))
                client = None
        if client:
            client.socket.close()

    may_close = False


def under_load(server, count=4, may_close=False):
    loads = [Load(server) for _ in range(count)]
    for load in loads:
        load.may_close = may_close
        load.start()
    wait_for(lambda: all(load.count > 20 for load in loads), "the load runs")
    return loads


def end_load(loads):
    for load in loads:
        load.ends = True
    for load in loads:
        load.join(GENEROUS)
    return [failure for load in loads for failure in load.failures]


class Both:
    """One server for all claims of a class; its two subclasses are the two ways."""

    way = ()
    options = ("--workers", "2")

    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.TemporaryDirectory()
        cls.root = os.path.join(cls.directory.name, "root")
        os.mkdir(cls.root)
        cls.log = os.path.join(cls.directory.name, "access.log")
        cls.server = Server("--start", cls.root, "--access-log", cls.log, *cls.options,
                            *cls.way)

    @classmethod
    def tearDownClass(cls):
        status = cls.server.stop()
        cls.directory.cleanup()
        if status != 0:
            raise AssertionError(f"exit status {status}:\n" + "".join(cls.server.lines))

    def still_answers(self):
        self.assertEqual(self.server.get("/hello").body, b"hello, world\n")


class Answers(Both):
    def test_hello_is_answered_and_its_connection_kept(self):
        with Client(self.server) as client:
            for name in ("a", "b", "c"):
                response = client.get("/hello?name=" + name)
                self.assertEqual((response.status, response.body),
                                 (200, f"hello, {name}\n".encode()))
                self.assertIsNone(response.field("connection"))

    def test_a_client_that_wants_no_more_is_let_go(self):
        with Client(self.server) as client:
            response = client.ask(f"GET /hello HTTP/1.1\r\n{HOST}Connection: close\r\n\r\n")
            self.assertEqual(response.field("connection"), "close")
            self.assertTrue(client.is_closed())

    def test_head_says_the_length_and_has_no_body(self):
        with Client(self.server) as client:
            response = client.ask(f"HEAD /hello HTTP/1.1\r\n{HOST}\r\n", head=True)
            self.assertEqual(response.field("content-length"), "13")
            self.assertEqual(client.get("/hello").body, b"hello, world\n")

    def test_pipelined_requests_are_answered_in_order(self):
        with Client(self.server) as client:
            client.send("".join(f"GET /hello?name={i} HTTP/1.1\r\n{HOST}\r\n"
                                for i in range(50)))
            for i in range(50):
                self.assertEqual(client.response().body, f"hello, {i}\n".encode())

    def test_a_request_may_come_byte_by_byte(self):
        with Client(self.server) as client:
            for byte in f"GET /hello HTTP/1.1\r\n{HOST}\r\n".encode():
                client.send(bytes([byte]))
            self.assertEqual(client.response().status, 200)

    def test_empty_lines_before_a_request_are_read_over(self):
        with Client(self.server) as client:
            self.assertEqual(client.ask(f"\r\n\r\nGET /hello HTTP/1.1\r\n{HOST}\r\n").status,
                             200)

    def test_http_1_0_is_spoken_and_ends_the_connection_unless_asked(self):
        with Client(self.server) as client:
            response = client.ask("GET /hello HTTP/1.0\r\n\r\n")
            self.assertEqual(response.body, b"hello, world\n")
            self.assertTrue(client.is_closed())
        with Client(self.server) as client:
            request = "GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
            self.assertEqual(client.ask(request).field("connection"), "keep-alive")
            self.assertEqual(client.ask(request).status, 200)

    def test_what_is_sent_as_it_comes_is_chunked_or_to_1_0_ends_with_the_connection(self):
        text = b"".join(b"line %d\n" % i for i in range(100000))
        with Client(self.server) as client:
            response = client.get("/stream?n=100000")
            self.assertEqual(response.field("transfer-encoding"), "chunked")
            self.assertEqual(response.body, text)
            self.assertEqual(client.get("/hello").status, 200)
            response = client.ask("GET /stream?n=100000 HTTP/1.0\r\n\r\n")
            self.assertIsNone(response.field("transfer-encoding"))
            self.assertEqual(response.body, text)

    def test_a_piece_that_is_flushed_arrives_before_the_handler_ends(self):
        with Client(self.server) as client:
            client.send(f"GET /stream?n=2&pause=1500 HTTP/1.1\r\n{HOST}\r\n")
            began = time.monotonic()
            while b"line 0" not in client.input:
                self.assertTrue(client.more())
            first = time.monotonic() - began
            self.assertIn(b"line 1", client.response().body)
            self.assertGreater(time.monotonic() - began, first + 1)

    def test_path_query_and_fields_are_what_the_client_sent(self):
        body = self.server.ask("GET /users/J%20D/items/%C3%A4 HTTP/1.1\r\n"
                               f"{HOST}Connection: close\r\n\r\n").body
        self.assertEqual(body.decode(), "user J D, item ä\n")
        self.assertEqual(self.server.get("/hello?x=1&name=a%26b+c&name=d").body,
                         b"hello, a&b c\n")
        body = self.server.ask(f"GET /whoami?q HTTP/1.1\r\n{HOST}X-Two:  v w \r\nX-None:\r\n"
                               "Connection: close\r\n\r\n").body.decode()
        self.assertIn("peer 127.0.0.1\nmethod GET\npath /whoami\ntarget /whoami?q\n", body)
        self.assertIn("X-Two: v w\nX-None: \n", body)

    def test_an_absolute_target_is_understood(self):
        self.assertEqual(self.server.ask("GET http://x/hello HTTP/1.1\r\n"
                                         f"{HOST}Connection: close\r\n\r\n").status, 200)

    def test_what_no_route_fits_is_404_and_another_method_405_with_those_allowed(self):
        self.assertEqual(self.server.get("/nothing").status, 404)
        response = self.server.ask(f"DELETE /hello HTTP/1.1\r\n{HOST}Connection: close\r\n\r\n")
        self.assertEqual((response.status, response.field("allow")), (405, "GET, HEAD"))

    def test_a_wrong_parameter_gets_a_sentence(self):
        response = self.server.get("/burn?ms=soon")
        self.assertEqual((response.status, response.body),
                         (400, b"400 ms: must be a number from 0 to 600000\n"))

    def test_burn_answers_with_the_cpu_time_that_it_used(self):
        body = self.server.get("/burn?ms=30").body.decode()
        self.assertGreaterEqual(float(re.search(r"burnt ([\d.]+) ms", body).group(1)), 30)

    def test_the_log_says_who_asked_what_and_which_worker_answered(self):
        self.server.ask(f"GET /hello?logged HTTP/1.1\r\n{HOST}Referer: http://r/\r\n"
                        'User-Agent: a"b\r\nConnection: close\r\n\r\n')
        pattern = (r'^127\.0\.0\.1 - - \[\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d \+0000\] '
                   r'"GET /hello\?logged HTTP/1\.1" 200 13 "http://r/" "a\\x22b" '
                   r'worker=[01] us=\d+ total_us=\d+$')

        def logged():
            with open(self.log) as file:
                return re.search(pattern, file.read(), re.M)
        wait_for(logged, "the line is in the log")

    def test_sigusr1_opens_the_log_again(self):
        os.rename(self.log, self.log + ".1")
        self.server.signal(signal.SIGUSR1)

        def has_new():
            self.server.get("/hello?after")
            return os.path.exists(self.log)
        wait_for(has_new, "there is a new log")


class Bodies(Both):
    def test_bodies_of_every_size_come_back_as_they_were(self):
        for size in (1, 88, 1000, 16384, 48 * 1024, 65536, 65537, 300000, 3000000):
            data = random.Random(size).randbytes(size)
            for body, field in ((data, f"Content-Length: {size}"),
                                (chunked(data), "Transfer-Encoding: chunked")):
                with Client(self.server) as client, self.subTest(size=size, field=field):
                    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
                    head = f"POST /echo HTTP/1.1\r\n{HOST}{field}\r\n\r\n".encode()
                    sender = threading.Thread(target=client.send, args=(head + body,))
                    sender.start()
                    response = client.response()
                    sender.join(GENEROUS)
                    self.assertEqual(response.status, 200)
                    self.assertEqual(hashlib.sha256(response.body).digest(),
                                     hashlib.sha256(data).digest())

    def test_a_long_upload_is_nowhere_as_a_whole(self):
        size = 48 << 20
        before = self.peaks()
        with Client(self.server) as client:
            client.send(f"POST /count HTTP/1.1\r\n{HOST}Content-Length: {size}\r\n\r\n")
            piece = bytes(1 << 20)
            for _ in range(size >> 20):
                client.send(piece)
            self.assertEqual(client.response().body, b"%d\n" % size)
        self.assert_no_peak_grew(before, size)

    def test_a_long_download_is_nowhere_as_a_whole(self):
        size = 48 << 20
        path = os.path.join(self.root, "long")
        with open(path, "wb") as file:
            file.truncate(size)
        before = self.peaks()
        with Client(self.server) as client:
            client.send(f"GET /files/long HTTP/1.1\r\n{HOST}\r\n")
            client.line()
            while client.line():
                pass
            got = len(client.input)
            while got < size:
                got += len(client.socket.recv(1 << 20))
            self.assertEqual(got, size)
        self.assert_no_peak_grew(before, size)

    def test_a_client_that_does_not_read_stops_the_sender(self):
        path = os.path.join(self.root, "longer")
        with open(path, "wb") as file:
            file.truncate(48 << 20)
        before = self.peaks()
        with Client(self.server) as client:
            client.send(f"GET /files/longer HTTP/1.1\r\n{HOST}\r\n")
            client.line()
            self.still_answers()
            self.still_answers()
        self.assert_no_peak_grew(before, 48 << 20)
        self.still_answers()

    # Pages of shared memory that are touched count as well, so there is some room.
    def assert_no_peak_grew(self, before, size):
        for pid, peak in self.peaks().items():
            self.assertLess(peak - before.get(pid, peak), size // 1024 // 3)

    def peaks(self):
        return {pid: peak_kib(pid) for pid in [self.server.front(), *self.server.workers()]}

    def test_a_body_is_asked_for_when_the_client_waits_for_that(self):
        with Client(self.server) as client:
            client.send(f"POST /echo HTTP/1.1\r\n{HOST}Expect: 100-continue\r\n"
                        "Content-Length: 5\r\n\r\n")
            self.assertEqual(client.response().status, 100)
            self.assertEqual(client.ask("hello").body, b"hello")
            self.assertEqual(client.get("/hello").status, 200)

    def test_a_body_that_is_too_long_is_not_asked_for(self):
        with Client(self.server) as client:
            response = client.ask(f"POST /echo HTTP/1.1\r\n{HOST}Expect: 100-continue\r\n"
                                  f"Content-Length: {1 << 40}\r\n\r\n")
            self.assertEqual(response.status, 413)
            self.assertTrue(client.is_closed())

    def test_another_expectation_is_417(self):
        self.assertEqual(self.server.ask(f"POST /echo HTTP/1.1\r\n{HOST}Expect: cake\r\n"
                                         "Content-Length: 1\r\n\r\n").status, 417)

    def test_a_body_that_the_handler_does_not_read_hurts_nobody(self):
        for size in (10, 100000, 2000000):
            with Client(self.server) as client, self.subTest(size=size):
                client.send(f"POST /hello HTTP/1.1\r\n{HOST}Content-Length: {size}\r\n\r\n")
                try:
                    client.send(bytes(size))
                except (BrokenPipeError, ConnectionResetError):
                    pass
                self.assertEqual(client.response().status, 405)
        self.still_answers()

    def test_a_body_that_breaks_behind_the_beginning_of_its_response_adds_nothing_to_it(self):
        with Client(self.server) as client:
            client.send(f"POST /echo HTTP/1.1\r\n{HOST}Transfer-Encoding: chunked\r\n\r\n")
            client.send(b"%x\r\n" % 120000 + b"a" * 120000 + b"\r\n")
            self.assertEqual(client.line(), "HTTP/1.1 200 OK")
            client.send("no size\r\n")
            while client.more():
                pass
            self.assertEqual(client.input.count(b"HTTP/1.1"), 0)
        self.still_answers()

    def test_trailers_are_read_over_and_end_the_connection(self):
        with Client(self.server) as client:
            client.send(f"POST /echo HTTP/1.1\r\n{HOST}Transfer-Encoding: chunked\r\n\r\n"
                        "5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n")
            response = client.response()
            self.assertEqual((response.status, response.body), (200, b"hello"))

    def test_files_come_as_they_are_and_are_not_sent_twice_to_who_has_them(self):
        data = random.Random(1).randbytes(500001)
        for name, part in (("empty", b""), ("small", data[:100]), ("large", data)):
            with open(os.path.join(self.root, name), "wb") as file:
                file.write(part)
            response = self.server.get("/files/" + name)
            self.assertEqual((response.status, response.body), (200, part))
            again = self.server.ask(f"GET /files/{name} HTTP/1.1\r\n{HOST}If-None-Match: "
                                    f"{response.field('etag')}\r\nConnection: close\r\n\r\n")
            self.assertEqual((again.status, again.body), (304, b""))
        with Client(self.server) as client:
            response = client.ask(f"HEAD /files/large HTTP/1.1\r\n{HOST}\r\n", head=True)
            self.assertEqual(response.field("content-length"), "500001")
            self.assertEqual(client.get("/hello").status, 200)

    def test_no_path_leads_out_of_the_directory(self):
        os.symlink("/etc", os.path.join(self.root, "link"))
        os.symlink("/etc/passwd", os.path.join(self.root, "file-link"))
        for path in ("../access.log", "..%2faccess.log", "%2e%2e/access.log", "/etc/passwd",
                     "link/passwd", "file-link", "x/../../access.log", "./../access.log",
                     "..", ".", ""):
            with self.subTest(path=path):
                self.assertIn(self.server.get("/files/" + path).status, (403, 404))

    def test_a_picture_comes_back_small(self):
        for width, height, wanted in ((400, 200, 100), (3000, 1000, 60), (50, 50, 200)):
            picture = png(width, height)
            with Client(self.server) as client, self.subTest(width=width):
                client.send(f"POST /thumbnail?w={wanted} HTTP/1.1\r\n{HOST}"
                            f"Content-Length: {len(picture)}\r\n\r\n")
                client.send(picture)
                response = client.response()
                self.assertEqual(response.field("content-type"), "image/jpeg")
                expected = min(width, wanted)
                self.assertEqual(jpeg_size(response.body),
                                 (expected, height * expected // width))
                # And once more from JPEG to JPEG.
                client.send(f"POST /thumbnail?w=20 HTTP/1.1\r\n{HOST}"
                            f"Content-Length: {len(response.body)}\r\n\r\n")
                client.send(response.body)
                self.assertEqual(jpeg_size(client.response().body)[0], 20)

    def test_what_is_no_picture_is_415(self):
        for data in (b"no picture", png(10, 10)[:40], b"\xff\xd8\xff\xe0" + bytes(50)):
            with Client(self.server) as client:
                client.send(f"POST /thumbnail HTTP/1.1\r\n{HOST}"
                            f"Content-Length: {len(data)}\r\n\r\n".encode() + data)
                self.assertEqual(client.response().status, 415)


# What parsers disagree about is where one request ends and the next begins (RFC 9112, 11.2).
# Each is answered with one of these statuses, and the connection closed.
MALFORMED = {
    "two lengths": (400, f"POST /echo HTTP/1.1\r\n{HOST}Content-Length: 5\r\n"
                    "Content-Length: 6\r\n\r\nhello!"),
    "the same length twice": (400, f"POST /echo HTTP/1.1\r\n{HOST}Content-Length: 5\r\n"
                              "Content-Length: 5\r\n\r\nhello"),
    "a list of lengths": (400, f"POST /echo HTTP/1.1\r\n{HOST}Content-Length: 5, 5\r\n\r\nhello"),
    "length and chunks": (400, f"POST /echo HTTP/1.1\r\n{HOST}Content-Length: 5\r\n"
                          "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /x HTTP/1.1\r\n\r\n"),
    "chunks and length": (400, f"POST /echo HTTP/1.1\r\n{HOST}Transfer-Encoding: chunked\r\n"
                          "Content-Length: 5\r\n\r\n0\r\n\r\n"),
    "chunked twice": (400, f"POST /echo HTTP/1.1\r\n{HOST}Transfer-Encoding: chunked\r\n"
                      "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    "chunked not last": (400, f"POST /echo HTTP/1.1\r\n{HOST}Transfer-Encoding: chunked, gzip"
                         "\r\n\r\n0\r\n\r\n"),
    "another coding": (501, f"POST /echo HTTP/1.1\r\n{HOST}Transfer-Encoding: gzip, chunked"
                       "\r\n\r\n0\r\n\r\n"),
    "chunked with a tab": ((400, 501), f"POST /echo HTTP/1.1\r\n{HOST}Transfer-Encoding:"
                           "\x0bchunked\r\n\r\n0\r\n\r\n"),
    "chunks in 1.0": (400, "POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    "a negative length": (400, f"POST /echo HTTP/1.1\r\n{HOST}Content-Length: -1\r\n\r\n"),
    "a signed length": (400, f"POST /echo HTTP/1.1\r\n{HOST}Content-Length: +5\r\n\r\nhello"),
    "a hexadecimal length": (400, f"POST /echo HTTP/1.1\r\n{HOST}Content-Length: 0x5\r\n\r\nhello"),
    "a length past 2^64": (400, f"POST /echo HTTP/1.1\r\n{HOST}Content-Length: "
                           "18446744073709551621\r\n\r\nhello"),
    "an empty length": (400, f"POST /echo HTTP/1.1\r\n{HOST}Content-Length:\r\n\r\n"),
    "a blank before the colon": (400, f"POST /echo HTTP/1.1\r\n{HOST}Content-Length : 5\r\n\r\nhello"),
    "a folded line": (400, f"GET /hello HTTP/1.1\r\n{HOST}X: a\r\n b\r\n\r\n"),
    "a folded length": (400, f"POST /echo HTTP/1.1\r\n{HOST} Content-Length: 5\r\n\r\nhello"),
    "bare line feeds": (400, "GET /hello HTTP/1.1\nHost: x\n\n"),
    "one bare line feed": (400, f"GET /hello HTTP/1.1\r\n{HOST}X: a\n\r\n"),
    "a bare carriage return": (400, f"GET /hello HTTP/1.1\r\n{HOST}X: a\rContent-Length: 5\r\n\r\n"),
    "only carriage returns": (400, "GET /hello HTTP/1.1\rHost: x\r\r\n\r\n"),
    "a NUL in a field": (400, f"GET /hello HTTP/1.1\r\n{HOST}X: a\0b\r\n\r\n"),
    "a NUL in the target": (400, f"GET /hel\0lo HTTP/1.1\r\n{HOST}\r\n"),
    "an escaped NUL": (400, f"GET /hello%00 HTTP/1.1\r\n{HOST}Connection: close\r\n\r\n"),
    "a broken escape": (400, f"GET /hello%zz HTTP/1.1\r\n{HOST}Connection: close\r\n\r\n"),
    "no host": (400, "GET /hello HTTP/1.1\r\n\r\n"),
    "two hosts": (400, "GET /hello HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n"),
    "a field without a colon": (400, f"GET /hello HTTP/1.1\r\n{HOST}X\r\n\r\n"),
    "a field without a name": (400, f"GET /hello HTTP/1.1\r\n{HOST}: a\r\n\r\n"),
    "a target with blanks": (400, f"GET /hello world HTTP/1.1\r\n{HOST}\r\n"),
    "a target that is no path": (400, f"GET hello HTTP/1.1\r\n{HOST}\r\n"),
    "no target": (400, f"GET  HTTP/1.1\r\n{HOST}\r\n"),
    "no version": ((400, 505), "GET /hello\r\n\r\n"),
    "version 2": (505, f"GET /hello HTTP/2.0\r\n{HOST}\r\n"),
    "version 1.2": (505, f"GET /hello HTTP/1.2\r\n{HOST}\r\n"),
    "the preface of HTTP/2": ((400, 505), "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    "no HTTP at all": ((400, 501), "\x16\x03\x01\x02\x00\x01\x00\r\n\r\n"),
    "an unknown method": (501, f"BREW /hello HTTP/1.1\r\n{HOST}\r\n"),
    "a tunnel": (501, f"CONNECT x:80 HTTP/1.1\r\n{HOST}\r\n"),
    "a line that never ends": (414, "GET /" + "a" * 70000),
    "fields that never end": (431, f"GET /hello HTTP/1.1\r\n{HOST}" + "X: y\r\n" * 20000),
    "too many fields": (431, f"GET /hello HTTP/1.1\r\n{HOST}" + "X: y\r\n" * 200 + "\r\n"),
    "a field that never ends": (431, f"GET /hello HTTP/1.1\r\n{HOST}X: " + "y" * 70000),
    "a chunk of no size": (400, f"POST /count HTTP/1.1\r\n{HOST}Transfer-Encoding: chunked"
                           "\r\n\r\nZ\r\nhello\r\n0\r\n\r\n"),
    "a chunk with a sign": (400, f"POST /count HTTP/1.1\r\n{HOST}Transfer-Encoding: chunked"
                            "\r\n\r\n-5\r\nhello\r\n0\r\n\r\n"),
    "a chunk past 2^64": (400, f"POST /count HTTP/1.1\r\n{HOST}Transfer-Encoding: chunked"
                          "\r\n\r\n10000000000000005\r\nhello\r\n0\r\n\r\n"),
    "a chunk without its end": (400, f"POST /count HTTP/1.1\r\n{HOST}Transfer-Encoding: chunked"
                                "\r\n\r\n5\r\nhelloworld\r\n0\r\n\r\n"),
    "a chunk ended by a line feed": (400, f"POST /count HTTP/1.1\r\n{HOST}Transfer-Encoding: "
                                     "chunked\r\n\r\n5\nhello\r\n0\r\n\r\n"),
}


class Strangers(Both):
    options = ("--workers", "2", "--head-timeout", "700ms", "--body-timeout", "700ms",
               "--body-max", "100k")

    def test_each_malformed_request_gets_its_status_and_the_connection_ends(self):
        for name, (expected, request) in MALFORMED.items():
            with self.subTest(name), Client(self.server) as client:
                try:
                    client.send(request)
                except (BrokenPipeError, ConnectionResetError):
                    pass
                status = client.response().status
                self.assertIn(status, expected if isinstance(expected, tuple) else (expected,))
                self.assertTrue(client.is_closed(), "no second answer")
        self.still_answers()

    def test_a_request_hidden_in_another_ones_body_is_not_answered(self):
        hidden = f"GET /hello?name=hidden HTTP/1.1\r\n{HOST}\r\n"
        with Client(self.server) as client:
            client.send(f"POST /hello HTTP/1.1\r\n{HOST}Content-Length: {len(hidden)}\r\n\r\n"
                        f"{hidden}GET /hello?name=next HTTP/1.1\r\n{HOST}\r\n")
            self.assertEqual(client.response().status, 405)
            self.assertEqual(client.response().body, b"hello, next\n")

    def test_a_head_that_does_not_come_is_408_and_holds_no_worker(self):
        slow = [Client(self.server) for _ in range(8)]
        for client in slow:
            client.send("GET /hello HTTP/1.1\r\nX: ")
        self.still_answers()
        for client in slow:
            self.assertEqual(client.response().status, 408)
            self.assertTrue(client.is_closed())
            client.socket.close()

    def test_a_body_that_does_not_come_is_408(self):
        for field in ("Content-Length: 10", "Transfer-Encoding: chunked"):
            with Client(self.server) as client:
                response = client.ask(f"POST /count HTTP/1.1\r\n{HOST}{field}\r\n\r\n5\r\n12")
                self.assertEqual(response.status, 408)
                self.assertTrue(client.is_closed())

    def test_a_body_that_is_too_long_is_413(self):
        with Client(self.server) as client:
            self.assertEqual(client.ask(f"POST /count HTTP/1.1\r\n{HOST}"
                                        "Content-Length: 200000\r\n\r\n").status, 413)
        with Client(self.server) as client:
            client.send(f"POST /count HTTP/1.1\r\n{HOST}Transfer-Encoding: chunked\r\n\r\n")
            try:
                client.send(chunked(bytes(200000)))
            except (BrokenPipeError, ConnectionResetError):
                pass
            self.assertEqual(client.response().status, 413)
        self.still_answers()

    def test_noise_is_answered_or_closed_and_harms_nobody(self):
        for seed in range(60):
            noise = random.Random(seed)
            request = bytearray(f"POST /echo?a=b HTTP/1.1\r\n{HOST}Content-Length: 12\r\n"
                                "Transfer-Encoding: chunked\r\nX: yyyyy\r\n\r\n"
                                "5\r\nhello\r\n0\r\n\r\n".encode())
            for _ in range(noise.randrange(1, 12)):
                request[noise.randrange(len(request))] = noise.randrange(256)
            with Client(self.server) as client:
                client.send(bytes(request))
                client.socket.shutdown(socket.SHUT_WR)
                while client.more():
                    pass
        self.still_answers()


class Crashes(Both):
    def pids(self):
        return set(self.server.workers())

    def test_a_handler_that_dies_costs_its_own_request_and_the_connection_goes_on(self):
        with Client(self.server) as client:
            self.assertEqual(client.get("/hello").status, 200)
            response = client.get("/crash?here")
            self.assertEqual(response.status, 502)
            self.assertEqual(client.get("/hello").status, 200)
        line = wait_for(lambda: self.server.said("/crash?here"), "the reason is told")
        self.assertRegex(line, r"GET /crash\?here HTTP/1\.1 from 127\.0\.0\.1: 502: job lost: "
                               r"worker \d+ \(pid \d+\) was killed by SIG")

        def logged():
            with open(self.log) as file:
                return '"GET /crash?here HTTP/1.1" 502' in file.read()
        wait_for(logged, "it is in the access log")

    def test_requests_behind_one_that_killed_its_worker_are_answered(self):
        with Client(self.server) as client:
            client.send("".join(f"GET {path} HTTP/1.1\r\n{HOST}\r\n"
                                for path in ("/hello", "/crash", "/hello", "/hello")))
            self.assertEqual([client.response().status for _ in range(4)],
                             [200, 502, 200, 200])

    def test_a_posted_body_does_not_save_the_worker_nor_harm_the_front(self):
        with Client(self.server) as client:
            response = client.ask(f"POST /crash HTTP/1.1\r\n{HOST}Content-Length: 5\r\n\r\nhello")
            self.assertEqual(response.status, 502)
        self.still_answers()

    def test_a_response_that_is_cut_off_does_not_look_whole(self):
        with Client(self.server) as client:
            response = client.get("/crash?late=1")
            self.assertEqual(response.status, 200)
            self.assertEqual(response.body, b"so far, so good\n")
            self.assertFalse(response.whole)
        self.still_answers()

    def test_of_many_requests_only_the_killed_workers_own_is_lost(self):
        statuses = []

        def ask():
            statuses.append(self.server.get("/burn?ms=700").status)
        clients = [threading.Thread(target=ask) for _ in range(4)]
        for client in clients:
            client.start()

        def busy():
            return [int(pid) for pid in self.busy_workers()]
        victim = wait_for(busy, "a worker is busy")[0]
        os.kill(victim, signal.SIGKILL)
        for client in clients:
            client.join(GENEROUS)
        self.assertEqual(sorted(statuses), [200, 200, 200, 502])

    def busy_workers(self):
        out = subprocess.run([BIN, "stat", self.server.name, "--json"], check=True,
                             capture_output=True, text=True).stdout
        return re.findall(r'"pid":\s*(\d+)[^{}]*?"running_ns":\s*[1-9]', out)

    def test_no_descriptor_leaks_in_2000_requests_and_4_crashes(self):
        def open_now():
            return {pid: descriptors_of(pid)
                    for pid in (self.server.front(), self.server.supervisor())}
        self.still_answers()
        with Client(self.server) as client:
            client.get("/crash")
        self.still_answers()
        before = wait_for(lambda: open_now(), "count")
        for _ in range(4):
            with Client(self.server) as client:
                for _ in range(500):
                    self.assertEqual(client.get("/hello").status, 200)
                self.assertEqual(client.get("/crash").status, 502)
        self.still_answers()
        wait_for(lambda: all(count <= before[pid] + 1 for pid, count in open_now().items()),
                 f"as many descriptors as before: {before}, now {open_now()}", 20)


class Ends(unittest.TestCase):
    """Claims that need a server of their own."""

    way = ()

    def serve(self, *arguments, **options):
        server = Server(*arguments, *self.way, **options)
        self.addCleanup(server.stop)
        return server

    def test_workers_work_at_the_same_time(self):
        server = self.serve("--workers", "8")
        clients = [threading.Thread(target=server.get, args=("/sleep?ms=500",))
                   for _ in range(8)]
        began = time.monotonic()
        for client in clients:
            client.start()
        for client in clients:
            client.join(GENEROUS)
        self.assertLess(time.monotonic() - began, 8 * 0.5 * 0.75)

    def test_one_worker_with_parallel_handles_as_many_at_once(self):
        server = self.serve("--workers", "1", "--parallel", "4")
        clients = [threading.Thread(target=server.get, args=("/sleep?ms=500",))
                   for _ in range(4)]
        began = time.monotonic()
        for client in clients:
            client.start()
        for client in clients:
            client.join(GENEROUS)
        self.assertLess(time.monotonic() - began, 4 * 0.5 * 0.75)
        self.assertEqual(server.get("/hello").status, 200)

    def test_a_handler_that_takes_too_long_is_504(self):
        server = self.serve("--workers", "1", "--request-timeout", "300ms")
        with Client(server) as client:
            response = client.get("/sleep?ms=900")
            self.assertEqual(response.status, 504)
        wait_for(lambda: server.get("/hello").status == 200, "the worker is back")

    def test_a_flood_of_requests_without_a_pool_harms_nobody(self):
        name = f"http-flood-{os.getpid()}"
        pool = subprocess.Popen([BIN, "serve", "--name", name, "--workers", "1", "--quiet", WEB])
        self.addCleanup(pool.wait)
        self.addCleanup(pool.terminate)
        wait_for(lambda: subprocess.run([BIN, "stat", name], capture_output=True,
                                        check=False).returncode == 0, "there is a pool")
        # Little enough that a call for each request would not fit.
        server = self.serve("--pool", name, preexec_fn=lambda: resource.setrlimit(
            resource.RLIMIT_STACK, (1 << 20, 1 << 20)))
        self.assertEqual(server.get("/hello").status, 200)
        pool.terminate()
        pool.wait()
        front = server.front()
        with Client(server) as client:
            sender = threading.Thread(target=client.send_some,
                                      args=(f"GET / HTTP/1.1\r\n{HOST}\r\n" * 10000,))
            sender.start()
            while client.more():
                if client.input.endswith(b"\n") and client.input.count(b" 503 ") == 10000:
                    break
            sender.join(GENEROUS)
            self.assertIn(b"HTTP/1.1 503", client.input)
        self.assertEqual(server.get("/hello").status, 503)
        self.assertEqual(server.front(), front)

    def test_a_full_pool_is_503_with_the_advice_to_come_again(self):
        name = f"http-full-{os.getpid()}"
        pool = subprocess.Popen([BIN, "serve", "--name", name, "--workers", "1", "--slots", "4",
                                 "--quiet", WEB])
        self.addCleanup(pool.wait)
        self.addCleanup(pool.terminate)
        wait_for(lambda: subprocess.run([BIN, "stat", name], capture_output=True,
                                        check=False).returncode == 0, "there is a pool")
        server = self.serve("--pool", name)
        self.assertEqual(server.get("/hello").status, 200)
        clients = [Client(server) for _ in range(7)]
        for client in clients:
            client.send(f"GET /sleep?ms=400 HTTP/1.1\r\n{HOST}\r\n")
        responses = [client.response() for client in clients]
        statuses = [response.status for response in responses]
        # A slot may still be in use for a moment after its answer.
        self.assertEqual(set(statuses), {200, 503})
        self.assertGreaterEqual(statuses.count(503), 3)
        for client, response in zip(clients, responses):
            self.assertEqual(response.field("retry-after"),
                             "1" if response.status == 503 else None)
            self.assertEqual(client.get("/hello").status, 200, "its connection goes on")
            client.socket.close()

    def test_900_requests_at_once_are_queued_and_none_refused(self):
        server = self.serve("--workers", "2")
        clients = [Client(server) for _ in range(900)]
        for client in clients:
            client.send(f"GET /hello HTTP/1.1\r\n{HOST}\r\n")
        for client in clients:
            self.assertEqual(client.response().status, 200)
            client.socket.close()

    def test_more_connections_than_allowed_wait_and_are_not_refused(self):
        server = self.serve("--workers", "1", "--connections", "2")
        first, second, third = Client(server), Client(server), Client(server)
        self.assertEqual(first.get("/hello").status, 200)
        self.assertEqual(second.get("/hello").status, 200)
        third.send(f"GET /hello HTTP/1.1\r\n{HOST}\r\n")
        third.socket.settimeout(0.3)
        with self.assertRaises(TimeoutError):
            third.more()
        third.socket.settimeout(GENEROUS)
        first.socket.close()
        self.assertEqual(third.response().status, 200)
        second.socket.close()
        third.socket.close()

    def test_a_pool_that_ends_is_503_until_one_of_its_name_is_back(self):
        name = f"http-back-{os.getpid()}"

        def start_pool():
            pool = subprocess.Popen([BIN, "serve", "--name", name, "--workers", "1",
                                     "--quiet", WEB])
            wait_for(lambda: subprocess.run([BIN, "stat", name], capture_output=True,
                                            check=False).returncode == 0, "there is a pool")
            return pool
        pool = start_pool()
        server = self.serve("--pool", name)
        with Client(server) as client:
            self.assertEqual(client.get("/hello").status, 200)
            pool.terminate()
            self.assertEqual(pool.wait(GENEROUS), 0)
            response = client.get("/hello")
            self.assertEqual((response.status, response.field("retry-after")), (503, "1"))
            pool = start_pool()
            wait_for(lambda: client.get("/hello").status == 200, "it is back")
        self.assertEqual(server.stop(), 0)
        pool.terminate()
        self.assertEqual(pool.wait(GENEROUS), 0)

    def test_a_client_that_leaves_sets_its_worker_free(self):
        server = self.serve("--workers", "1")
        with Client(server) as client:
            client.send(f"GET /burn?ms=600000 HTTP/1.1\r\n{HOST}\r\n")
            time.sleep(0.2)
        began = time.monotonic()
        self.assertEqual(server.get("/hello").status, 200)
        self.assertLess(time.monotonic() - began, 20)

    def test_the_end_waits_for_what_runs_and_takes_no_more(self):
        server = self.serve("--workers", "2")
        idle, busy = Client(server), Client(server)
        self.assertEqual(idle.get("/hello").status, 200)
        self.assertEqual(busy.get("/hello").status, 200)
        busy.send(f"GET /sleep?ms=700 HTTP/1.1\r\n{HOST}\r\n")
        time.sleep(0.2)
        server.signal(signal.SIGTERM)
        self.assertTrue(idle.is_closed())
        self.assertEqual(busy.response().body, b"slept 700 ms\n")
        self.assertTrue(busy.is_closed())
        idle.socket.close()
        busy.socket.close()
        self.assertEqual(server.stop(), 0)
        with self.assertRaises(OSError):
            server.connect()

    def test_a_front_that_dies_is_replaced_and_no_connection_refused(self):
        server = self.serve("--workers", "1")
        self.assertEqual(server.get("/hello").status, 200)
        for _ in range(3):
            front = server.front()
            os.kill(front, signal.SIGKILL)
            self.assertEqual(server.get("/hello").status, 200)
            self.assertNotEqual(server.front(), front)

    def test_when_the_first_process_dies_the_others_end_and_leave_nothing(self):
        server = self.serve("--workers", "2")
        self.assertEqual(server.get("/hello").status, 200)
        family = family_of(server.process.pid)
        self.assertGreaterEqual(len(family), 5)
        server.process.kill()
        server.process.wait(GENEROUS)
        wait_for(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in family),
                 "all of them are gone")
        self.assertFalse([name for name in os.listdir("/dev/shm") if server.name in name])

    def test_sigusr2_replaces_the_front_without_a_failed_request(self):
        server = self.serve("--workers", "2")
        loads = under_load(server, may_close=True)
        front = server.front()
        server.signal(signal.SIGUSR2)
        wait_for(lambda: not os.path.exists(f"/proc/{front}"), "the old front is gone")
        before = [load.count for load in loads]
        wait_for(lambda: all(load.count > count + 20 for load, count in zip(loads, before)),
                 "the load goes on")
        self.assertEqual(end_load(loads), [])

    def test_a_supervisor_that_dies_is_replaced_and_requests_go_on(self):
        server = self.serve("--workers", "2")
        loads = under_load(server)
        supervisor = server.supervisor()
        os.kill(supervisor, signal.SIGKILL)
        wait_for(lambda: len([line for line in server.lines if "is ready" in line]) > 1 or
                 server.said("adopted") or server.supervisor() not in (None, supervisor),
                 "there is another supervisor")
        self.assertEqual(end_load(loads), [])

    def reload(self, order):
        with tempfile.TemporaryDirectory() as directory:
            service = os.path.join(directory, "web.so")
            # The library is found beside the original.
            environment = dict(os.environ, LD_LIBRARY_PATH=os.path.join(
                os.path.dirname(os.environ["CADRE_BIN_DIR"]), "lib"))
            shutil.copy(WEB, service)
            server = self.serve("--workers", "2", service=service, env=environment)
            loads = under_load(server)
            old = set(server.workers())
            shutil.copy(WEB, service + ".new")
            os.rename(service + ".new", service)
            order(server)
            wait_for(lambda: not old & set(server.workers()), "all workers are new")
            self.assertEqual(end_load(loads), [])
            with open(service + ".new", "wb") as file:
                file.write(b"no shared object")
            os.rename(service + ".new", service)
            loads = under_load(server)
            kept = set(server.workers())
            result = subprocess.run([BIN, "ctl", server.name, "reload"], capture_output=True,
                                    check=False, text=True)
            self.assertNotEqual(result.returncode, 0, result.stderr)
            self.assertEqual(set(server.workers()), kept)
            self.assertEqual(end_load(loads), [])
            self.assertEqual(server.stop(), 0)

    def test_ctl_reload_loses_no_request_and_a_bad_version_is_rolled_back(self):
        self.reload(lambda server: subprocess.run([BIN, "ctl", server.name, "reload"],
                                                  check=True, capture_output=True))

    def test_sighup_reloads(self):
        self.reload(lambda server: server.signal(signal.SIGHUP))

    def test_a_listener_that_was_passed_is_used(self):
        listener = socket.create_server(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        script = ('exec 3<&%d; export LISTEN_FDS=1 LISTEN_PID=$$; exec "$0" "$@"' %
                  listener.fileno())
        name = f"http-passed-{os.getpid()}"
        process = subprocess.Popen(["sh", "-c", script, BIN, "http", "--service", WEB, "--name",
                                    name, "--workers", "1", *self.way],
                                   pass_fds=[listener.fileno()], stderr=subprocess.DEVNULL)
        self.addCleanup(process.wait)
        self.addCleanup(process.terminate)
        with socket.create_connection(("127.0.0.1", port), timeout=GENEROUS) as connection:
            connection.sendall(f"GET /hello HTTP/1.0\r\n\r\n".encode())
            self.assertTrue(connection.recv(100).startswith(b"HTTP/1.1 200 OK"))
        listener.close()

    def test_a_unix_socket_serves_as_well(self):
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "socket")
            server = self.serve("--workers", "1", listen=("--listen", "unix:" + path))
            with Client(server) as client:
                self.assertEqual(client.get("/hello").status, 200)
                self.assertIn(b"peer unix", client.get("/whoami").body)
                client.send(f"GET /crash HTTP/1.1\r\n{HOST}\r\n")
                client.more()
            self.assertEqual(server.get("/hello").status, 200)
            self.assertEqual(server.stop(), 0)

    def test_the_ten_lines_of_the_readme_are_a_whole_site(self):
        source = os.environ.get("CADRE_SOURCE_DIR", ".")
        with open(os.path.join(source, "README.md")) as file:
            programs = re.findall(r"```c\n(.*?)```", file.read(), re.S)
        program = next(text for text in programs if "CADRE_HTTP_SITE" in text)
        library = os.path.join(os.path.dirname(os.environ["CADRE_BIN_DIR"]), "lib")
        with tempfile.TemporaryDirectory() as directory:
            service = os.path.join(directory, "hello.so")
            subprocess.run(["cc", "-shared", "-fPIC", "-Wall", "-Wextra", "-Werror", "-x", "c", "-",
                            "-I", os.path.join(source, "include"), "-L", library,
                            "-Wl,-rpath," + library, "-lcadre-http", "-lcadre", "-o", service],
                           input=program, text=True, check=True)
            server = self.serve("--workers", "1", service=service)
            self.assertEqual(server.get("/hello?name=reader").body, b"hello, reader\n")
            self.assertEqual(server.stop(), 0)

    def test_a_service_that_is_no_site_is_refused_with_a_sentence(self):
        demo = os.path.join(os.path.dirname(WEB), "demo.so")
        server = Server("--workers", "1", *self.way, service=demo)
        self.assertNotEqual(server.process.wait(GENEROUS), 0)
        wait_for(lambda: server.said("is no site"), "the reason is told")
        server.stop()

    def test_curl_and_wrk_are_served(self):
        server = self.serve("--workers", "2")
        url = f"http://127.0.0.1:{server.port}"
        if shutil.which("curl"):
            out = subprocess.run(["curl", "-sS", "--fail", f"{url}/hello", f"{url}/hello",
                                  "--data-binary", "@" + WEB, f"{url}/count"],
                                 capture_output=True, check=False).stdout
            self.assertIn(b"%d\n" % os.path.getsize(WEB), out)
        if shutil.which("wrk"):
            out = subprocess.run(["wrk", "-d", "1", "-c", "32", "-t", "2", f"{url}/hello"],
                                 capture_output=True, text=True, check=True).stdout
            self.assertNotIn("Socket errors", out)
            self.assertNotIn("Non-2xx", out)

    def test_a_page_and_its_20_pictures_come_over_6_connections_at_once(self):
        server = self.serve("--workers", "2")
        page = server.get("/").body.decode()
        targets = re.findall(r'src="([^"]+)"', page)
        self.assertEqual(len(targets), 20)
        bodies = {}

        def fetch(part):
            with Client(server) as client:
                for target in part:
                    bodies[target] = client.get(target).body
        browsers = [threading.Thread(target=fetch, args=(targets[i::6],)) for i in range(6)]
        for browser in browsers:
            browser.start()
        for browser in browsers:
            browser.join(GENEROUS)
        self.assertEqual(len(bodies), 20)
        self.assertTrue(all(body.startswith(b"<svg") for body in bodies.values()))


def two_ways(claims):
    for name, way in (("Proxy", ()), ("Handoff", ("--handoff",))):
        bases = (claims,) if issubclass(claims, unittest.TestCase) else (claims,
                                                                          unittest.TestCase)
        globals()[claims.__name__ + "By" + name] = type(claims.__name__ + "By" + name, bases,
                                                       {"way": way})


for each in (Answers, Bodies, Strangers, Crashes, Ends):
    two_ways(each)
del Ends, each

if __name__ == "__main__":
    unittest.main(verbosity=int(os.environ.get("VERBOSITY", "1")))
