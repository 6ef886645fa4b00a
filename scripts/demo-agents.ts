/** A scripted stand-in for a coding agent: a shell line that gets the prompt on standard input and works in the clone. */
export interface ScriptedAgent {
  readonly name: string;
  readonly prompt: string;
  readonly command: string;
}

/** Says something every now and then, changes two files, and ends well. */
export const diligent: ScriptedAgent = {
  name: 'greeting',
  prompt: 'Let greet.sh say good-bye, too, and describe it in the README.',
  command: `
read -r task; echo "Task: $task"; sleep 0.5
echo "Reading greet.sh"; sleep 0.7
printf 'echo "Good-bye, $1"\\n' >> greet.sh
echo "Describing it in README.md"; sleep 0.7
printf '\\n    sh greet.sh World\\n' >> README.md
echo "Trying it: $(sh greet.sh World | tr '\\n' ' ')"; sleep 0.5`,
};

/** Adds a file, and ends well: what it is run on makes no difference to it. */
export const swift: ScriptedAgent = {
  name: 'licence',
  prompt: 'Add a licence.',
  command: `
echo "Looking for a licence"; sleep 0.8
echo "Do with it what you like." > LICENCE
echo "Wrote $(cat LICENCE | wc -w | tr -d ' ') words"; sleep 0.8`,
};

/** As `swift`, where machines are used again and again. */
export const tidy: ScriptedAgent = {
  name: 'changelog',
  prompt: 'Begin a list of changes.',
  command: `
echo "Reading the history"; git log --format='- %s' > CHANGES.md; sleep 0.8
echo "Listed the changes"; sleep 0.8`,
};

/** Begins well, and is killed by a fault of its own. */
export const crashing: ScriptedAgent = {
  name: 'crash',
  prompt: 'Rewrite greet.sh in assembly.',
  command: `
echo "Reading greet.sh"; sleep 0.9
echo "Translating it"; sleep 0.9
echo "fatal: cannot read my own output" >&2; kill -SEGV $$`,
};

/** Writes its process id to \`pidFile\`, starts something, and would never end by itself. */
export const endless = (pidFile: string): ScriptedAgent => ({
  name: 'endless',
  prompt: 'Prove that greet.sh is correct for every name.',
  command: `
echo $$ > '${pidFile}'
echo "Trying every name"; echo "tried: a to z" > NOTES.md
while :; do sleep 0.5; echo "Still trying"; done`,
});
