"""What README.md, tests/README.md, the head of template.yaml and the workflow for GitHub have their reader type.

deploy.py checks it. The commands are taken from the documents themselves, as a shell splits them, and each is read by the
parser of the real tool: the AWS command line up to the call, at an address where nobody listens, the others up to their
help.
"""

import dataclasses
import os
import pathlib
import re
import subprocess
import textwrap
import tomllib

ROOT = pathlib.Path(__file__).resolve().parents[2]
ENVS = ROOT / ".envs"
WORKFLOW = ROOT / ".github/workflows/deploy.yml"

# What the reader puts in place of each word.
PLACEHOLDERS = {
    "ALARMS": "arn:aws:sns:eu-west-1:111122223333:alarms",
    "ALL-THAT-IT-HAS": "arn:aws:sns:eu-west-1:111122223333:others",
    "CHANNEL": "C012ABCDEF",
    "CONFIGURATION": "arn:aws:chatbot::111122223333:chat-configuration/slack-channel/alerts",
    "FUNCTION": "fraud-job-watch-Function-1A2B3C",
    "JOB": "nightly-7",
    "LOGGROUP": "fraud-job-watch-LogGroup-1A2B3C",
    "NAME": "by-hand",
    "PROFILE": "default",
    "REGION": "eu-west-1",
    "ROLE": "arn:aws:iam::111122223333:role/fraud-job-watch-FunctionRole-1A2B3C",
    "SUBSCRIPTION": "arn:aws:sns:eu-west-1:111122223333:notices:00000000-0000-4000-8000-000000000000",
    "TABLE": "fraud-job-watch-Table-1A2B3C",
    "TOKEN": "2336412f37fb687f5d51e6e2425a8a5b",
    "TOPIC": "arn:aws:sns:eu-west-1:111122223333:notices",
    "UNIT": "ou-abcd-12345678",
}
# Capitals that are meant as they are.
LITERAL = {"ALARM", "JSON"}

# Tools that are not here, or whose commands change the computer that they run on.
NOT_TRIED = {".", "brew", "gh", "git", "pip", "rustup", "sudo", "xcode-select"}
TOOLS = NOT_TRIED | {"aws", "cargo", "python3", "sam"}

PREVIEW = ["cargo", "run", "--features", "preview", "--bin", "preview", "--"]

# Every command is unknown to this shell, and its arguments are written down instead. What a glob does not match is an
# error, as it is to the shell of macOS.
SCRIBE = r"""
set -eu
shopt -s failglob
command_not_found_handle() { printf '%s\0' "$#" "$@" >&3; }
.() { command_not_found_handle . "$@"; }
PATH=/nowhere
"""


@dataclasses.dataclass
class Script:
    where: str
    text: str

    def commands(self, directory):
        """The arguments of each command, as bash splits them."""
        require_no_comment(self)
        said = directory / "said"
        outcome = subprocess.run(
            ["/bin/bash", "-c", f"exec 3>{said}\n{SCRIBE}\n{self.text}"],
            cwd=directory,
            env={"HOME": str(directory), "RUNNER_TEMP": str(directory), "GITHUB_PATH": str(directory / "path"), "SAMCONFIG": ""},
            capture_output=True,
            text=True,
        )
        if outcome.returncode:
            raise ValueError(f"{self.where}: {self.text!r}: {outcome.stderr.strip()}")
        words = iter(said.read_text().split("\0")[:-1])
        return [[next(words) for _ in range(int(count))] for count in words]


def require_no_comment(script):
    """To the shell of macOS, a # that is pasted is a command."""
    if re.search(r"(^|\s)#", script.text):
        raise ValueError(f"{script.where}: a comment in {script.text!r}")


def readme():
    return (ROOT / "README.md").read_text()


def blocks(text, language):
    found = re.findall(rf"^( *)```{language}\n(.*?)^\1```$", text, re.M | re.S)
    return [textwrap.dedent(block) for _, block in found]


def scripts():
    text = readme()
    found = [Script("README.md", block) for block in blocks(text, "sh")]
    found += [
        Script("tests/README.md", block)
        for block in blocks((ROOT / "tests/README.md").read_text(), "sh")
        if block.startswith(("aws ", "cargo "))
    ]
    prose = re.sub(r"^ *```.*?^ *```$", "", text, flags=re.M | re.S)
    tool = "|".join(sorted(map(re.escape, TOOLS - {"."}), key=len))
    for span in re.findall(rf"`((?:{tool}) [^`]+)`", prose):
        found.append(Script("README.md", re.sub(r"\s*\n\s*", " ", span)))

    head = (ROOT / "template.yaml").read_text().partition("\nAWSTemplateFormatVersion")[0]
    found.append(Script("template.yaml", "\n".join(re.findall(r"^#   (.*)$", head, re.M))))
    return found + [Script("deploy.yml", step["run"]) for step in workflow()["jobs"]["deploy"]["steps"] if "run" in step]


def workflow():
    import yaml

    # In YAML 1.1 the key `on` is true.
    return yaml.safe_load(WORKFLOW.read_text())


def filled_in(command):
    """The command with what the reader puts in. A word in capitals that nobody explains is an error."""

    def fill(part):
        if part in PLACEHOLDERS:
            return PLACEHOLDERS[part]
        if re.fullmatch(r"[A-Z][A-Z-]+", part) and part not in LITERAL:
            raise ValueError(f"{' '.join(command)}: what is {part}?")
        return part

    return ["".join(map(fill, re.split(r"([=,])", word))) for word in command]


def complaint(command, directory):
    """What the tool says against the command; nothing if it takes it."""
    match filled_in(command):
        case ["aws", *arguments]:
            nobody = ["--endpoint-url", "http://127.0.0.1:9"]
            said = outcome([ENVS / "boto3/bin/aws", *nobody, *arguments], directory, AWS_MAX_ATTEMPTS="1")
            return None if "Could not connect to the endpoint URL" in said.stdout else said.stdout
        case ["sam", *arguments]:
            said = outcome([ENVS / "deploy/bin/sam", *arguments, "--help"], directory)
        case ["cargo", "lambda", *arguments]:
            said = outcome([ENVS / "deploy/bin/cargo-lambda", "lambda", *arguments, "--help"], directory)
        case words if words[: len(PREVIEW)] == PREVIEW:
            said = outcome([ROOT / "target/debug/preview", *words[len(PREVIEW) :], "--help"], ROOT)
        case ["python3", "-m", "venv", _] | ["python3", "-m", "json.tool", "--compact", _, _]:
            return None
        case [tool, *_] if tool in NOT_TRIED:
            return None
        case _:
            return "nobody knows how to check it"
    return said.stdout if said.returncode else None


def outcome(command, directory, **environment):
    return subprocess.run(
        list(map(str, command)),
        cwd=directory,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
    )


def samconfig(stack, region, **parameters):
    """The samconfig.toml of the README, as a reader with these parameters saves it."""
    text, = blocks(readme(), "toml")
    lines = {
        "stack_name": f'"{stack}"',
        "region": f'"{region}"',
        "parameter_overrides": "'" + " ".join(f'{name}="{value}"' for name, value in parameters.items()) + "'",
    }
    for key, value in lines.items():
        text, count = re.subn(rf"^{key} = .*$", lambda _: f"{key} = {value}", text, flags=re.M)
        if count != 1:
            raise ValueError(f"README.md: {key} stands {count} times in samconfig.toml")
    tomllib.loads(text)
    return text


def least_sam():
    """The oldest SAM that README and workflow ask for."""
    (version,) = set(re.findall(r"aws-sam-cli>=([\d.]+)", readme() + WORKFLOW.read_text()))
    return tuple(map(int, version.split(".")))
