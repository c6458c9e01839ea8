import { priceOf } from "./orders";

interface Request {
  pathParameters: { sku: string; count: string };
}

export const handler = async (request: Request): Promise<{ sku: string; price: number }> => {
  const { sku, count } = request.pathParameters;
  return { sku, price: priceOf(sku, Number(count)) };
};
