// Waits to be told what to run, where the server has started this before it knows that (waiting.go): a folder and variables. All
// other modules are loaded by then, and run behind this one.

import * as fs from 'node:fs';

const { env } = process;
if (env.MILLSTREAM_WAIT) {
  const fd = Number(env.MILLSTREAM_WAIT);
  const told = fs.readFileSync(fd, 'utf8').split('\0');
  if (told.length < 2 || told.pop() !== '') process.exit(0); // the server has ended, or needs no more
  fs.closeSync(fd);
  const [folder, ...variables] = told;
  for (const name of Object.keys(env)) delete env[name];
  for (const variable of variables) {
    const at = variable.indexOf('=');
    env[variable.slice(0, at)] = variable.slice(at + 1);
  }
  process.chdir(folder);
}
