// Waits to be told what to run, where the server has started this before it knows that (waiting.go): a folder and variables. All
// other modules are loaded by then, and run behind this one.

import * as fs from 'node:fs';

const { env } = process;
if (env.MILLSTREAM_WAIT) {
  const fd = Number(env.MILLSTREAM_WAIT);
  const told = fs.readFileSync(fd, 'utf8').split('\0');
  if (told.length < 2 || told.pop() !== '') process.exit(0); // the server has ended, or needs no more
  fs.closeSync(fd);
  const [folder, ...rest] = told;
  const variables = new Map(rest.map((variable) => [variable.slice(0, variable.indexOf('=')), variable.slice(variable.indexOf('=') + 1)]));
  for (const name of Object.keys(env)) if (!variables.has(name)) delete env[name];
  // What is as it was stays: Node.js looks for the machine's time zone when TZ goes, which takes 6 ms where /etc/localtime is no link.
  for (const [name, value] of variables) if (env[name] !== value) env[name] = value;
  process.chdir(folder);
}
