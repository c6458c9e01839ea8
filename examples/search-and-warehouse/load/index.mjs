// Loads changes into a warehouse: products as they are now, and every change of a price.
// A batch is one transaction, and what is loaded again changes nothing.
import pg from "pg";

const warehouse = new pg.Pool({ connectionString: process.env.WAREHOUSE, max: 1, connectionTimeoutMillis: 5000 });
warehouse.on("error", () => {}); // an idle connection was lost; the next call makes another

const schema = `
  CREATE TABLE IF NOT EXISTS products (id text PRIMARY KEY, name text, price text);
  CREATE TABLE IF NOT EXISTS prices (event text PRIMARY KEY, product text NOT NULL, price text, at timestamptz NOT NULL)`;
let prepared = false;

export const handler = async (event) => {
  const db = await warehouse.connect();
  let failure;
  try {
    if (!prepared) await db.query(schema);
    prepared = true;
    await db.query("BEGIN");
    for (const record of event.Records) await load(db, record);
    await db.query("COMMIT");
  } catch (err) {
    failure = err;
    throw err;
  } finally {
    db.release(failure); // a connection that failed is not used again
  }
};

async function load(db, { eventID, eventName, dynamodb: { Keys, NewImage, OldImage, ApproximateCreationDateTime } }) {
  if (eventName === "REMOVE") {
    await db.query("DELETE FROM products WHERE id = $1", [Keys.id.S]);
    return;
  }
  const [name, price] = [NewImage.name?.S, text(NewImage.price)];
  await db.query(
    `INSERT INTO products VALUES ($1, $2, $3)
     ON CONFLICT (id) DO UPDATE SET name = excluded.name, price = excluded.price`, [Keys.id.S, name, price]);
  if (price !== text(OldImage?.price)) {
    await db.query("INSERT INTO prices VALUES ($1, $2, $3, to_timestamp($4)) ON CONFLICT DO NOTHING",
      [eventID, Keys.id.S, price, ApproximateCreationDateTime]);
  }
}

const text = (value) => value?.N ?? value?.S;
