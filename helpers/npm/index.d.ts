/** Milliseconds, or a text such as '20m', '24h' or '1.5s'. */
export type Duration = number | string;

export interface StartOptions {
  /** 'manual': time stands still until `advance`. Default 'real'. */
  clock?: 'real' | 'manual';
  /** A SAM or CloudFormation template that is deployed before `start` returns. */
  template?: string;
  /** A folder that holds the data. Default: everything is in memory. */
  data?: string;
  /** Default 'us-east-1'. */
  region?: string;
  /** Further arguments of `millstream serve`. */
  args?: string[];
  /** Variables for the server, beside the process's own. */
  env?: Record<string, string | undefined>;
  /** Where the server runs: relative paths, and modules of functions. Default: here. */
  cwd?: string;
  /** The program and its first arguments. Default: MILLSTREAM_BIN, the PATH, Go. */
  command?: string[];
  /** Show what the server and its functions print. */
  print?: boolean;
}

export class Millstream {
  private constructor();
  /** Where DynamoDB, its streams and Lambda are served. */
  readonly endpoint: string;
  /** Where HTTP APIs and function URLs are. */
  readonly httpEndpoint: string;
  readonly region: string;
  /** The end of what the server and its functions have printed. */
  readonly output: string;
  /** For the AWS SDK's clients: `new DynamoDBClient(mill.config)`. */
  readonly config: { endpoint: string; region: string; credentials: { accessKeyId: string; secretAccessKey: string } };
  /** For programs that make their own clients: `Object.assign(process.env, mill.env)`. */
  readonly env: Record<string, string>;
  /** Waits until every trigger has handled what has been written so far. */
  settle(options?: { timeout?: Duration }): Promise<void>;
  /** The server's time. */
  now(): Promise<Date>;
  /** Moves a manual clock on, and waits until everything that was due has been done. */
  advance(by: Duration, options?: { timeout?: Duration }): Promise<Date>;
  /** Makes a request of the admin protocol. */
  admin(method: string, name: string, query?: Record<string, string>): Promise<any>;
  /** Ends the server. */
  stop(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

export function start(options?: StartOptions): Promise<Millstream>;
