(() => {
  const words = document.getElementById("live");
  document.body.prepend(words);
  if (ENDED) return;
  const say = text => { words.textContent = text; };
  say("under way; as of " + new Date().toLocaleTimeString());
  const poll = async () => {
    try {
      const state = await (await fetch("state", { cache: "no-store" })).json();
      if (state.version !== VERSION) return location.reload();
    } catch {
      return say("ramp no longer answers: this is the last page; ramp report DIR makes that of the whole run");
    }
    setTimeout(poll, 2000);
  };
  setTimeout(poll, 2000);
})();
