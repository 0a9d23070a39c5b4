"""Makes the pictures of the documents: `python3 tests/pictures/make.py`. Needs Chromium, as in Debian's package of
that name.

They show the goldens of the day under events/day, and one of the imports under events/imports: what an inbox and a chat
channel get, as tests/snapshots has it, and what `preview` prints on a terminal, which must be its golden but for the
colours. How a mail program or Slack shows the same text is theirs.
"""

import fcntl
import html
import json
import os
import pathlib
import pty
import re
import struct
import subprocess
import sys
import tempfile
import termios

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
GOLDENS = ROOT / "tests" / "snapshots"
CHROMIUM = os.environ.get("CHROMIUM", "chromium")
DAY = sorted((ROOT / "events" / "day").glob("*.json"))
# The job whose story is shown, and the listing that is shown whole.
JOB, LISTING = "refunds_2026_03_02", "04-stalled.json"
# The listing of imports whose message is shown.
IMPORT = "02-completed-with-failures.json"
COLUMNS = 118

STYLE = """
* { box-sizing: border-box; margin: 0 }
body { font: 15px/1.45 "Liberation Sans", Arial, sans-serif; color: #1d1c1d; background: #eceff3; padding: 18px }
main { background: #fff; border: 1px solid #d5dae1; border-radius: 10px; overflow: hidden }
code { font: 13px "Liberation Mono", monospace; background: #f3f3f5; border: 1px solid #dcdce0; border-radius: 4px;
  padding: 0 3px; color: #b3261e; overflow-wrap: anywhere }
a { color: #1264a3; overflow-wrap: anywhere }
figcaption { color: #5f6771; font-size: 12px; padding: 10px 4px 0 }
.from { padding: 14px 18px; border-bottom: 1px solid #e6e9ee } .from b { display: block; font-size: 17px }
.from span { color: #5f6771; font-size: 13px }
.mail { padding: 14px 18px; white-space: pre-wrap; overflow-wrap: anywhere }
.post { display: flex; gap: 12px; padding: 14px 18px } .post + .post { border-top: 1px solid #eef0f3 }
.reply { padding-left: 66px }
.face { flex: none; width: 36px; height: 36px; border-radius: 8px; background: #4a5b8c; color: #fff; font-weight: bold;
  text-align: center; line-height: 36px }
.post h4 { font-size: 14px; margin-bottom: 4px } .post h4 span { color: #5f6771; font-weight: normal; font-size: 12px }
.card { border-left: 4px solid #c3c8d0; padding-left: 12px } .card.error { border-color: #d92d20 }
.card.info { border-color: #2e8b57 } .card h3 { font-size: 15px; margin-bottom: 4px }
.card p { white-space: pre-wrap } .card ul { padding-left: 20px; margin-top: 6px }
.screen { background: #16181d; color: #d7dae0; font: 13px/1.4 "DejaVu Sans Mono", monospace; padding: 14px 18px;
  white-space: pre-wrap; overflow-wrap: anywhere } .screen i { font-style: normal; color: #ff6b63 }
"""


def golden(name):
    return (GOLDENS / f"tests__preview__{name}.snap").read_text().split("\n---\n", 1)[1]


def sections(text):
    """What was printed of each listing."""
    return [f"== {part}".rstrip() + "\n" for part in re.split(r"(?m)^== ", text)[1:]]


def of_listing(text, listing=f"day/{LISTING}"):
    return next(part for part in sections(text) if part.startswith(f"== events/{listing}"))


def linked(escaped):
    return re.sub(r"https://[^\s<]+", lambda link: f'<a href="#">{link[0]}</a>', escaped)


def email(of_one):
    """The message of a listing, as an inbox shows it on a phone."""
    _, _, message = of_one.partition("  Subject: ")
    subject, _, body = re.sub(r"(?m)^  ", "", message).partition("\n")
    return f"""<main><div class=from><b>{html.escape(subject)}</b>
      <span>fraud-job-watch &lt;no-reply@sns.amazonaws.com&gt;</span></div>
      <div class=mail>{linked(html.escape(body.strip()))}</div></main>"""


def markdown(text):
    """What Slack makes of the few marks that the chat form uses. The text has & < > escaped, as Slack asks for."""
    pieces = re.split(r"(`[^`\n]*`)", text)
    for place, piece in enumerate(pieces):
        if piece.startswith("`"):
            pieces[place] = f"<code>{piece[1:-1]}</code>"
        else:
            pieces[place] = linked(re.sub(r"\*([^*\n]+)\*", r"<b>\1</b>", piece))
    return "".join(pieces)


def thread():
    """All that a channel gets of one job."""
    notifications = json.loads(golden("the_day_as_a_chat_channel_gets_it"))
    story = [one for one in notifications if one["metadata"]["additionalContext"].get("job_id") == JOB]
    if len({one["metadata"]["threadId"] for one in story}) != 1 or len(story) < 3:
        sys.exit(f"the golden has no story of {JOB} in one thread")
    posts = []
    for place, one in enumerate(story):
        content, severity = one["content"], one["metadata"]["additionalContext"]["severity"]
        # Only an email says when it was detected.
        detected = rf"Detected: \S+ (\d\d:\d\d).*\n  Event id: {one['id']}"
        detected = re.search(detected, golden("the_day_that_comes_with_it"))[1]
        # A reply is shown up to its facts, so that the story fits.
        description = content["description"] if place == 0 else content["description"].split("\n\n")[0]
        steps = "".join(f"<li>{markdown(step)}</li>" for step in content["nextSteps"])
        posts.append(
            f"""<div class="post {'reply' if place else ''}"><div class=face>Q</div><div>
            <h4>Amazon Q <span>APP&nbsp; {detected}</span></h4>
            <div class="card {severity}"><h3>{markdown(content["title"])}</h3>
            <p>{markdown(description)}</p><ul>{steps}</ul></div></div></div>"""
        )
    return f"<main>{''.join(posts)}</main>"


def on_a_terminal(*command):
    """What a command prints on a terminal of so many columns."""
    ours, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 50, COLUMNS, 0, 0))
    unset = {"NO_COLOR", "COLUMNS", "STALL_AFTER", "REMIND_AFTER", "OVERDUE_AFTER", "EXPECT", "NOTIFY_ON"}
    unset |= {"DIGEST_ABOVE", "WATCH_NAME"}
    env = {name: value for name, value in os.environ.items() if name not in unset}
    process = subprocess.Popen(command, cwd=ROOT, env={**env, "TERM": "xterm-256color"}, stdout=its)
    os.close(its)
    printed = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:
            break
        if not part:
            break
        printed += part
    if process.wait():
        sys.exit(f"{command[0]} failed")
    return printed.decode().replace("\r\n", "\n")


def terminal():
    subprocess.run(["cargo", "build", "--quiet", "--features", "preview", "--bin", "preview"], cwd=ROOT, check=True)
    target = os.environ.get("CARGO_TARGET_DIR", "target")
    printed = on_a_terminal(f"{target}/debug/preview", "replay", *(str(file.relative_to(ROOT)) for file in DAY))
    plain = re.sub(r"\x1b\[[0-9;]*m", "", printed)

    def words(text):
        return [line.split() for line in text.strip().splitlines()]

    if words(plain) != words(golden("the_day_that_comes_with_it")):
        sys.exit("what preview prints on a terminal is not its golden")
    shown = html.escape(of_listing(printed))
    shown = re.sub(r"\x1b\[38;5;9m(.*?)\x1b\[39m", r"<i>\1</i>", shown, flags=re.S)
    shown = re.sub(r"\x1b\[[0-9;]*m", "", shown)
    command = "$ preview replay events/day/*.json\n...\n"
    return f"<main class=screen>{command}{shown.rstrip()}</main>"


def picture(name, body, width, caption):
    page = f"""<!doctype html><meta charset=utf-8><style>{STYLE}</style><body>{body}
      <figcaption>{caption}</figcaption>
      <script>document.body.dataset.height = document.documentElement.offsetHeight</script>"""
    with tempfile.TemporaryDirectory() as directory:
        file = pathlib.Path(directory) / "page.html"
        file.write_text(page)

        def chromium(*arguments):
            return subprocess.run(
                [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars",
                 "--disable-background-networking", "--disable-component-update", "--disable-sync",
                 f"--user-data-dir={directory}/profile", *arguments, file.as_uri()],
                check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            ).stdout

        dom = chromium("--dump-dom", f"--window-size={width},1000")
        height = re.search(r'data-height="(\d+)"', dom)[1]
        target = HERE / f"{name}.png"
        chromium(f"--screenshot={target}", f"--window-size={width},{height}", "--force-device-scale-factor=1.5")
        print(f"{target.relative_to(ROOT)}: {target.stat().st_size:,} bytes")


def main():
    label = "Rendered from the golden messages of this repository"
    of_mail = f"{label}; not a picture of a mail program. AWS adds a footer of its own."
    picture("email", email(of_listing(golden("the_day_that_comes_with_it"))), 520, of_mail)
    picture("import", email(of_listing(golden("the_imports_that_come_with_it"), f"imports/{IMPORT}")), 520, of_mail)
    picture("thread", thread(), 760, f"{label}; not a picture of Slack. Replies are shown without their facts.")
    picture("terminal", terminal(), 1000, f"{label}: what preview prints on a terminal of {COLUMNS} columns.")


if __name__ == "__main__":
    main()
