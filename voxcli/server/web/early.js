/* Runs before the page is drawn, so that it does not flash in other colours. */
document.documentElement.dataset.theme = localStorage.getItem('voxcli-theme') ?? '';
