import { orderOf, type Change } from "./orders";

export const handler = async (event: { Records: Change[] }): Promise<void> => {
  for (const change of event.Records) {
    console.log(change.eventName, orderOf(change));
  }
};
