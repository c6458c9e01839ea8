export const handler = async (n: number): Promise<number> => n;
