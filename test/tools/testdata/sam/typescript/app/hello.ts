interface Answer {
  statusCode: number;
  body: string;
}

export const lambdaHandler = async (): Promise<Answer> => ({ statusCode: 200, body: JSON.stringify({ message: 'hello world' }) });
