/**
 * The command line as a tree: commands, arguments, options, examples. Reads what was typed, hands it to the command, and turns
 * every end into an exit code. Holds no work of its own.
 */
import tab from "@bomb.sh/tab/commander";
import { BucketlockError, InvalidError } from "@bucketlock/core";
import { Command, CommanderError, Option } from "commander";
import { errorFacts, errorLine } from "./advice.js";
import { COMPLETION_SCRIPTS } from "./completion-scripts.js";
import { Context, type Flags, type Home, noCommand } from "./context.js";
import { doctor } from "./doctor.js";
import { elect } from "./elect.js";
import { EXIT, EXIT_MEANINGS, exitCodeOfError } from "./exit-code.js";
import { InterruptedError } from "./interruption.js";
import { KINDS } from "./lock-names.js";
import { breakLock, inspect, ls, revoke } from "./look.js";
import { historyCommand, onceCommand } from "./once-command.js";
import { probeStore } from "./probe-command.js";
import { run } from "./run.js";
import { Screen } from "./screen.js";

type Work = (context: Context, args: readonly string[], words: readonly string[]) => Promise<number>;

/** The exit code. Never rejects. */
export async function main(argv: readonly string[], home: Home, version: string): Promise<number> {
  let exit: number = EXIT.done;
  const screen = new Screen(beforeDashes(argv).includes("--json"));
  const program = makeProgram(argv, version, async (flags, work) => {
    exit = await work(await Context.open(flags, home));
  });
  try {
    await program.parseAsync(argv, { from: "user" });
    return exit;
  } catch (error) {
    if (error instanceof CommanderError) {
      if (error.exitCode === 0 || error.code === "commander.help") return error.exitCode === 0 ? EXIT.done : EXIT.usage;
      return fail(screen, asUsage(error));
    }
    return fail(screen, error);
  }
}

function fail(screen: Screen, error: unknown): number {
  const exit = error instanceof InterruptedError ? error.exitCode : exitCodeOfError(error);
  // Whoever pressed Ctrl-C knows.
  screen.note(
    "error",
    { ...errorFacts(error), exit },
    error instanceof InterruptedError ? undefined : errorLine(error),
  );
  return exit;
}

function asUsage(error: CommanderError): BucketlockError {
  const message = error.message.replace(/^error: /, "").replace(/\s+/g, " ");
  return new BucketlockError(message, { code: "USAGE", kind: "invalid" });
}

/** `execute`: what becomes of a command that was typed rightly. */
export function makeProgram(
  argv: readonly string[],
  version: string,
  execute: (flags: Flags, work: (context: Context) => Promise<number>) => Promise<void>,
): Command {
  const program = new Command("bucketlock")
    .description("Locks over object storage, for the command line: S3, MinIO, Ceph, R2, B2, or a directory.")
    .version(version, "-V, --version", "the version")
    .helpOption("-h, --help", "this text")
    .helpCommand("help [command]", "this text, or that of a command")
    .showSuggestionAfterError(true)
    .exitOverride()
    // As their own help says it: `run [options] <key> -- command...`.
    .configureHelp({ subcommandTerm: (made) => `${made.name()} ${made.usage()}` })
    .configureOutput({
      writeOut: (text) => new Screen(false).print(text.replace(/\n$/, "")),
      // The help of who typed no command.
      writeErr: (text) => new Screen(false).complain(text),
      // Told once, by us.
      outputError: () => {},
    })
    .addHelpText("after", `\n${SETTINGS_HELP}\n\n${exitTable()}\n`);

  const command = (name: string, description: string, work: Work, examples: readonly string[]) => {
    const made = program
      .command(name)
      .description(description)
      .helpOption("-h, --help", "this text")
      .addOption(new Option("--store <url>", "the store: s3://bucket/prefix, b2://bucket/prefix, file:/dir"))
      .addOption(new Option("--config <file>", "settings from this file; else the nearest bucketlock.yaml"))
      .addOption(new Option("--json", "for programs: JSON instead of text"))
      .addHelpText("after", `\n${examplesOf(examples)}\n`)
      .action(async function (this: Command) {
        const words = afterDashes(argv);
        const args = this.args.slice(0, this.args.length - words.length);
        if (this.registeredArguments.some((argument) => argument.name() === "command")) requireDashes(argv, args);
        else if (words.length > 0) throw new InvalidError("--", `is for commands to run; ${name} runs none`, words[0]);
        await execute(this.opts(), (context) => work(context, args, words));
      });
    return made;
  };
  // What stands after -- is no argument of ours.
  const usageOfRuns = (made: Command, name: string) => made.usage(`[options] <${name}> -- command...`);
  const leaseOptions = (made: Command) =>
    made
      .addOption(new Option("--lease <duration>", "how long the lock outlives a crash (30s)"))
      .addOption(new Option("--label <text>", "who we are, for people who look (host:pid)"))
      .addOption(
        new Option(
          "--grace <duration>",
          "from TERM to KILL, when the lease is lost (5s; two fifths of the lease at most)",
        ),
      )
      .addOption(
        new Option("--on-lost <what>", "when the lease is lost: end the command, or let it run on (term)").choices([
          "term",
          "ignore",
        ]),
      )
      .addOption(protocolOption())
      .addOption(
        new Option("--settle <duration>", "an extra pause and look before a claim: 1s beside s3func clients (0s)"),
      )
      .addOption(new Option("--request-timeout <duration>", "limit for one request (10s)"));
  const kindOption = () => new Option("--kind <what>", "what the key is, where several are called so").choices(KINDS);
  const onRevokeOption = () =>
    new Option(
      "--on-revoke <what>",
      "when somebody asks for the lock: tell the command by TERM, or not (term)",
    ).choices(["term", "ignore"]);
  const protocolOption = () =>
    new Option("--protocol <name>", "two-object (default) or conditional").choices(["two-object", "conditional"]);

  const waitOptions = (made: Command, wait: string, skip: string) =>
    made
      .addOption(new Option("--wait <duration>", `how long to stand in line (${wait})`))
      .addOption(new Option("--no-wait", "try once"))
      .addOption(new Option("--skip-exit-code <n>", skip))
      .addOption(new Option("--no-token", "draw no fencing token: three requests less"))
      .addOption(onRevokeOption());

  const runCommand = command(
    "run",
    "Run a command under a lock.",
    (context, [key], words) => run(context, key!, words),
    [
      "bucketlock run deploy --store s3://ci/locks -- ./deploy.sh --now",
      "bucketlock run nightly --no-wait --skip-exit-code 0 -- ./nightly.sh",
      "bucketlock run reports --shared --wait 5m -- make reports",
      "bucketlock run api --semaphore 3 -- ./import.sh",
    ],
  )
    .argument("<key>", "the lock")
    .argument("[command...]", "after --: the command and its arguments")
    .addOption(new Option("--shared", "beside other shared holders; excludes exclusive ones"))
    .addOption(new Option("--semaphore <n>", "so many may hold it at once; the same number everywhere"));
  usageOfRuns(runCommand, "key");
  leaseOptions(waitOptions(runCommand, "1m", "exit code when the lock was not to be had (193)"));
  const onceMade = command(
    "once",
    "Run a command for a scheduled time, on one host only, whatever the clocks.",
    (context, [job], words) => onceCommand(context, job!, words),
    [
      "bucketlock once report --every '0 3 * * *' --timezone Europe/Berlin -- ./report.sh",
      "bucketlock once invoices --slot 2026-12-01 --at-least-once -- ./invoices.sh",
    ],
  )
    .argument("<job>", "the job")
    .argument("[command...]", "after --: the command and its arguments")
    .addOption(new Option("--slot <time>", "the scheduled time: a date, or a time with its zone"))
    .addOption(new Option("--every <cron>", "the slot is the last time this cron pattern was due"))
    .addOption(new Option("--timezone <name>", "of the cron pattern, such as Europe/Berlin (UTC)"))
    .addOption(new Option("--at-least-once", "run a slot again whose runner died"))
    .addOption(
      new Option("--overlap <what>", "while an earlier slot runs: wait, or leave this one out (queue)").choices([
        "queue",
        "skip",
      ]),
    );
  usageOfRuns(onceMade, "job");
  leaseOptions(waitOptions(onceMade, "1m", "exit code when another ran it or runs it (0)"));
  const electMade = command(
    "elect",
    "Run a command on one of many hosts: whoever leads runs it, and the next takes over.",
    (context, [key], words) => elect(context, key!, words),
    ["bucketlock elect scheduler -- ./scheduler", "bucketlock elect scheduler --lease 10s -- node worker.js"],
  )
    .argument("<key>", "the election")
    .argument("[command...]", "after --: the command and its arguments");
  usageOfRuns(electMade, "key");
  leaseOptions(waitOptions(electMade, "until elected", "exit code when it was not elected in time (193)"));
  command(
    "ls",
    "List what is in a store: locks, elections, jobs, latches, members.",
    (context, [prefix]) => ls(context, prefix ?? ""),
    ["bucketlock ls", "bucketlock ls jobs/ --json"],
  ).argument("[prefix]", "only keys that begin so");
  command(
    "inspect",
    "Who holds a lock, who waits, since when, alive or dead.",
    (context, [key]) => inspect(context, key!),
    ["bucketlock inspect deploy", "bucketlock inspect deploy --watch --json"],
  )
    .argument("<key>", "the lock, election or job")
    .addOption(kindOption())
    .addOption(protocolOption())
    .addOption(new Option("--watch", "again whenever something changes, until Ctrl-C"));
  command(
    "break",
    "Remove holders and waiters that show no sign of life. Asks first.",
    (context, [key]) => breakLock(context, key!),
    ["bucketlock break deploy", "bucketlock break deploy --older-than 10m --yes"],
  )
    .argument("<key>", "the lock, election or job")
    .addOption(kindOption())
    .addOption(new Option("--yes", "do not ask"))
    .addOption(new Option("--older-than <duration>", "only without a sign of life for this long (2h); 0s: all"))
    .addOption(new Option("--ticket <id...>", "only these tickets"))
    .addOption(protocolOption());
  command(
    "revoke",
    "Ask who holds a lock to release it. Nobody is forced.",
    (context, [key]) => revoke(context, key!),
    ["bucketlock revoke reports --reason 'a deploy is about to start'"],
  )
    .argument("<key>", "the lock, election or job")
    .addOption(kindOption())
    .addOption(new Option("--reason <text>", "told to who holds"))
    .addOption(new Option("--ticket <id...>", "only these holders"))
    .addOption(protocolOption());
  command("history", "The last runs of a job of `once`.", (context, [job]) => historyCommand(context, job!), [
    "bucketlock history report",
    "bucketlock history report --limit 5 --json",
  ])
    .argument("<job>", "the job")
    .addOption(new Option("--limit <n>", "how many slots, the newest first (30)"))
    .addOption(protocolOption());
  command("probe", "Find out by trying what a store can do.", (context, [url]) => probeStore(context, url), [
    "bucketlock probe s3://my-bucket",
    "bucketlock probe --json > report.json",
  ]).argument("[url]", "the store; else as everywhere");
  leaseOptions(
    command(
      "doctor",
      "Which configuration is found, what the store allows, and what to mend.",
      (context) => doctor(context),
      ["bucketlock doctor", "bucketlock doctor --store s3://my-bucket --json"],
    ),
  );
  const completion = tab(program, { completionCommandName: "completion" });
  program.commands
    .find((made) => made.name() === "completion")!
    .description("Print the completion script of a shell.")
    .helpOption("-h, --help", "this text")
    .addHelpText("after", `\n${examplesOf(COMPLETION_EXAMPLES)}\n`)
    .action((shell: string) => {
      const script = COMPLETION_SCRIPTS[shell];
      if (script === undefined) completion.setup("bucketlock", "bucketlock", shell);
      else new Screen(false).print(script.trimEnd());
    });
  return program;
}

function exitTable(): string {
  const width = Math.max(...EXIT_MEANINGS.map(([code]) => code.length));
  return `Exit codes:\n${EXIT_MEANINGS.map(([code, meaning]) => `  ${code.padEnd(width)}  ${meaning}`).join("\n")}`;
}

const examplesOf = (lines: readonly string[]): string => `Examples:\n${lines.map((line) => `  $ ${line}`).join("\n")}`;

const COMPLETION_EXAMPLES = [
  "source <(bucketlock completion bash)   # in ~/.bashrc",
  "source <(bucketlock completion zsh)    # in ~/.zshrc, after compinit",
  "bucketlock completion fish > ~/.config/fish/completions/bucketlock.fish",
];

const SETTINGS_HELP = `Settings come from flags, else from the environment (BUCKETLOCK_STORE, ...),
else from the nearest bucketlock.yaml. \`bucketlock doctor\` shows them.

${examplesOf(["export BUCKETLOCK_STORE=s3://my-bucket/locks", "bucketlock run deploy -- ./deploy.sh", "bucketlock inspect deploy"])}`;

const beforeDashes = (argv: readonly string[]): readonly string[] => {
  const at = argv.indexOf("--");
  return at < 0 ? argv : argv.slice(0, at);
};

const afterDashes = (argv: readonly string[]): readonly string[] => argv.slice(beforeDashes(argv).length + 1);

/** Without them `run key cmd -x` would take the command's options for ours. */
function requireDashes(argv: readonly string[], args: readonly string[]): void {
  if (!argv.includes("--")) {
    if (args.length < 2) throw noCommand();
    throw new InvalidError("command", "must follow after --, as in: run deploy -- ./deploy.sh", args[1]);
  }
  if (args.length === 0) {
    const message = "the key is missing: it stands before --, as in: run deploy -- ./deploy.sh";
    throw new BucketlockError(message, { code: "USAGE", kind: "invalid" });
  }
  if (args.length > 1) throw new InvalidError("key", "must be one; the command follows after --", args.join(" "));
}
