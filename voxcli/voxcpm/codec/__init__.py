"""The audio VAE: latents to samples and back."""
