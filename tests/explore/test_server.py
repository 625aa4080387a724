"""The server: three files and answers, on this machine, with nothing kept of what was asked."""

import http.client
import inspect
import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest

from odemom.cli import exploring
from odemom.errors import InvalidInputError
from odemom.explore.server import PORT, explore, server_on
from scripts.browser import AtOnce, serving

HALF = {"matrix": [["-1", "0"], ["0", "-1"]], "eps": "1/2"}
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def server():
    with serving() as found:
        yield found


def request(server, method, path, body=None, headers=None, host=None):
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=30)
    sent = dict(headers or {})
    if host is not None:
        sent["Host"] = host
    connection.request(method, path, body, sent)
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer, content


def ask(server, fields, part="/answer"):
    answer, content = request(server, "POST", part, json.dumps(fields), JSON)
    assert answer.status == 200
    return json.loads(content)


@pytest.mark.parametrize(
    ("path", "kind"),
    [("/", "text/html"), ("/style.css", "text/css"), ("/explore.js", "text/javascript")],
)
def test_the_files_of_the_page(server, path, kind):
    answer, content = request(server, "GET", path)
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith(kind)
    assert len(content) > 1000
    # Nothing comes from elsewhere, nobody frames the page, and nothing is kept.
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Server"] == "odemom"
    assert not re.search(rb"https?://(?!www\.w3\.org)", content)


@pytest.mark.parametrize("path", ["/x", "/../pyproject.toml", "/server.py", "/answer"])
def test_there_is_nothing_else(server, path):
    assert request(server, "GET", path)[0].status == 404


def test_a_question_is_answered(server):
    assert ask(server, HALF)["verdict"] == "yes"
    assert ask(server, {**HALF, "eps": "x"})["error"].startswith("eps: got the text 'x'")
    assert "parts" in ask(server, HALF, "/motion")


def test_visitors_who_ask_at_the_same_time_get_their_own_answers(server):
    questions = [{"matrix": [[str(k)]], "eps": "1/2"} for k in (-3, -2, -1, 0, 1, 2)]
    with ThreadPoolExecutor(6) as visitors:
        answers = list(visitors.map(lambda q: ask(server, q), questions * 2))
    assert [a["eigenvalues"] for a in answers] == [[[k, 0]] for k in (-3, -2, -1, 0, 1, 2)] * 2


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        ("{", JSON),
        ("[" * 5000, JSON),
        ("\xff", JSON),
        ("", JSON),
        ("{}", {"Content-Type": "text/plain"}),
        (json.dumps(HALF), {}),
        (" " * 9000, JSON),
        ("{}", {**JSON, "Content-Length": "9" * 5000}),
        *(("[" * deep + "]" * deep, JSON) for deep in (900, 980, 985, 990, 2000)),
        ("9" * 5000, JSON),
        ("{}", {**JSON, "Content-Length": "x"}),
    ],
)
def test_what_is_no_question_is_refused(server, body, headers):
    answer, content = request(server, "POST", "/answer", body.encode("latin-1"), headers)
    assert answer.status in {200, 400}
    assert "expected" in json.loads(content)["error"]


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example:80", ""])
def test_a_name_that_was_bent_to_this_machine_is_refused(server, host):
    assert request(server, "GET", "/", host=host)[0].status == 421
    body = json.dumps(HALF)
    assert request(server, "POST", "/answer", body, JSON, host=host)[0].status == 421


@pytest.mark.parametrize("host", ["localhost:80", "LOCALHOST", "127.0.0.1", "[::1]:8642"])
def test_the_names_of_this_machine_are_known(server, host):
    assert request(server, "GET", "/", host=host)[0].status == 200


def test_a_port_that_is_taken_is_said(server, run):
    port = str(server.server_port)
    status, _, said = run("explore", "--no-browser", "--port", port)
    assert status == 2
    assert f"port: got {port}, which another program listens on" in said
    assert "--port 0" in said


@pytest.mark.parametrize(
    ("host", "port", "words"),
    [
        ("127.0.0.1", 65536, "port: got 65536"),
        ("192.0.2.1", 0, "host: got '192.0.2.1'"),
        ("no such host", 0, "host: got 'no such host'"),
        ("a" * 70, 0, "host: got"),
    ],
)
def test_an_address_that_is_not_of_this_machine_is_said(host, port, words):
    with pytest.raises(InvalidInputError, match=words):
        server_on(host, port, AtOnce)


def test_only_here_by_default():
    defaults = inspect.signature(exploring.explore).parameters
    assert (defaults["host"].default, defaults["port"].default) == ("127.0.0.1", PORT)
    with serving() as here:
        assert here.only_here
        assert urlsplit(here.url).hostname == "127.0.0.1"
    everywhere = server_on("0.0.0.0", 0, AtOnce)
    assert not everywhere.only_here
    assert urlsplit(everywhere.url).hostname == "127.0.0.1"
    assert everywhere.knows("my-machine.local:8642")
    everywhere.server_close()


@pytest.mark.usefixtures("ctrl_c")  # which lets Ctrl-C through
def test_a_browser_that_waits_for_the_page_gets_it(monkeypatch):
    statuses = []

    def wait_for(url):  # as one in the terminal does
        with urllib.request.urlopen(url, timeout=5) as page:
            statuses.append(page.status)
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr("webbrowser.open", wait_for)
    monkeypatch.setattr("odemom.explore.server.Desk", AtOnce)
    explore(port=0, say=lambda _: None)
    assert statuses == [200]


def test_the_command_answers_and_ends_cleanly_at_ctrl_c():
    # A shell that starts commands in the background lets them ignore Ctrl-C: not this one.
    code = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "from odemom.cli import main; main()"
    )
    words = [sys.executable, "-c", code, "explore", "--port", "0", "--no-browser"]
    process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    line = process.stderr.readline()
    port = int(re.findall(r"http://127\.0\.0\.1:(\d+)/", line)[0])
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("POST", "/answer", json.dumps(HALF), JSON)
    assert json.loads(connection.getresponse().read())["verdict"] == "yes"
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=30) == 0
    assert process.stderr.read() == ""
    process.stderr.close()
    with socket.socket() as free:  # nobody listens any more
        assert free.connect_ex(("127.0.0.1", port)) != 0
