// Signing in with an access key, from the page of who has no session.
const form = document.getElementById('sign-in');
form.addEventListener('submit', async (e) => {
  e.preventDefault();
  const said = form.querySelector('[role=alert]');
  said.textContent = '';
  const response = await fetch('/sign-in', { method: 'POST', body: JSON.stringify({ id: form.elements.id.value.trim(), secret: form.elements.secret.value.trim() }) }).catch(() => null);
  if (response?.ok) location.href = '/';
  else said.textContent = response ? await response.text() : 'The server does not answer.';
});
