// Signs 10,000 odd requests as AWS's SDK for JavaScript does, one line of JSON for each.
const { createHash, createHmac } = require("node:crypto");
const { SignatureV4 } = require("@smithy/signature-v4");

class Sha256 {
  constructor(secret) {
    this.hash = secret ? createHmac("sha256", Buffer.from(secret)) : createHash("sha256");
  }
  update(data) {
    this.hash.update(typeof data === "string" ? data : Buffer.from(data));
  }
  async digest() {
    return new Uint8Array(this.hash.digest());
  }
  reset() {}
}

const odd = ["a", "B", "0", "-", "_", ".", "~", " ", "  ", "+", "%", "&", "=", "é", "日本", ":", "*", "'", "(", "!", '"', ",", ";", "@", "$", "x.y",
  "arn:aws:lambda:us-east-1:1:function:f"];
let seed = 7;
const next = (n) => ((seed = (seed * 1103515245 + 12345) & 0x7fffffff) >> 8) % n;
const text = (most) => Array.from({ length: next(most + 1) }, () => odd[next(odd.length)]).join("");
const escaped = (s) => encodeURIComponent(s).replace(/[!'()*]/g, (c) => "%" + c.charCodeAt(0).toString(16).toUpperCase());

(async () => {
  for (let i = 0; i < 10000; i++) {
    const service = ["dynamodb", "lambda", "s3", "sts"][next(4)];
    let path = "/";
    if (service !== "dynamodb") {
      for (let n = next(4); n > 0; n--) {
        const segment = text(4);
        if (segment.replace(/\./g, "")) path += escaped(segment) + "/";
      }
      path += "end";
    }
    const query = {};
    for (let n = next(4); n > 0; n--) query[text(3) || "empty"] = next(4) ? text(3) : [text(2), text(2)];
    const method = ["GET", "POST", "PUT", "DELETE"][next(4)];
    const body = method === "GET" ? "" : text(20);
    const headers = { host: "127.0.0.1:8000" };
    if (body) headers["content-length"] = String(Buffer.byteLength(body));
    for (let n = next(4); n > 0; n--)
      headers[["x-amz-target", "x-amz-meta-q", "content-type", "x-other", "x-amz-user-agent"][next(5)]] = ["a", "two   words", "x,y", '"q  q"'][next(4)];
    const signer = new SignatureV4({
      service, region: "us-east-1", sha256: Sha256, uriEscapePath: service !== "s3",
      credentials: { accessKeyId: "AKIDEXAMPLE", secretAccessKey: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", sessionToken: next(2) ? "token/+=" : undefined },
    });
    const presigned = next(3) === 0;
    if (presigned && service === "s3") headers["x-amz-content-sha256"] = "UNSIGNED-PAYLOAD"; // as S3's presigner has it
    const request = { method, protocol: "http:", hostname: "127.0.0.1", port: 8000, path, query, headers, body };
    const signed = presigned ? await signer.presign(request, { expiresIn: 60 }) : await signer.sign(request);
    const parts = [];
    for (const name of Object.keys(signed.query).sort())
      for (const value of [signed.query[name]].flat()) parts.push(escaped(name) + "=" + escaped(value ?? ""));
    console.log(JSON.stringify({
      service, method, path: signed.path, query: parts.join("&"), host: "127.0.0.1:8000", headers: signed.headers,
      body: Buffer.from(body).toString("base64"), hash: createHash("sha256").update(body).digest("hex"),
    }));
  }
})();
