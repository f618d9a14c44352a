// Passkeys: the browser asks the device, and a form carries what it says. Without support nothing is shown.
const supported = "PublicKeyCredential" in window && "parseRequestOptionsFromJSON" in PublicKeyCredential;

async function ask(form) {
  const answer = await fetch(form.dataset.options);
  if (!answer.ok) throw new Error(`options: ${answer.status}`);
  const { publicKey } = await answer.json();
  if (form.dataset.passkey === "create") {
    return navigator.credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(publicKey) });
  }
  return navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(publicKey) });
}

for (const form of supported ? document.querySelectorAll("form[data-passkey]") : []) {
  const error = document.querySelector("[data-passkey-error]");
  form.hidden = false;
  form.querySelector("button").hidden = false;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    error.hidden = true;
    try {
      form.elements.credential.value = JSON.stringify((await ask(form)).toJSON());
    } catch {
      error.hidden = false;
      return;
    }
    form.submit();
  });
}
