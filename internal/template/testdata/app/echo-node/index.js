exports.handler = async (event) => ({
  statusCode: 200,
  headers: { 'content-type': 'application/json', 'access-control-allow-origin': 'of the function' },
  cookies: ['seen=1; HttpOnly'],
  body: JSON.stringify(event),
});
